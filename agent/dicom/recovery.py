"""Rows of kept images: written in one commit, and made anew from the files where they were lost."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path, PurePosixPath
from typing import TypeVar

from agent.dicom import headers, part10
from agent.errors import UnreadableInput
from storage import studies
from storage.database import Database
from storage.errors import Conflict, NotFound, StorageError
from storage.files import FileStore
from storage.records import Instance

_log = logging.getLogger(__name__)

RECENT_SECONDS = 24 * 3600.0

_CHUNK = 200
_DAMAGED_SUFFIX = ".damaged"
_Value = TypeVar("_Value")


def write(database: Database, batch: Sequence[Instance]) -> None:
    """One commit; when one row is refused for good, the others still go in."""
    try:
        with database.begin() as session:
            studies.record_instances(session, batch)
    except Exception as error:  # a border: a bad row must not end receiving
        if _passes(error):
            raise
        if len(batch) == 1:
            _log.exception(
                "An image has no row; its file is kept",
                extra={"action": "receipt_refused", "sop_uid": batch[0].sop_uid},
            )
            return
        for instance in batch:
            write(database, [instance])


def _passes(error: Exception) -> bool:
    """Whether the database is away, locked or full, rather than unwilling to take this row."""
    return isinstance(error, StorageError) and not isinstance(error, Conflict | NotFound)


def rebuild(store: FileStore, database: Database, *, folders: Iterable[str] | None = None) -> int:
    """Make rows for the image files that have none, and return how many were made.

    All are looked at, or those in some of the store's folders. A damaged file is logged and
    renamed, so that it is looked at by a person and not read again.
    """
    lost = (
        path
        for paths in _chunks(store.image_paths(folders))
        for path in _unrecorded(store, database, paths)
    )
    # A study at a time, so that memory stays bounded: its files lie in one folder.
    count = sum(
        _record(database, [one for path in paths if (one := _instance(store, path)) is not None])
        for _, paths in groupby(lost, key=lambda path: PurePosixPath(path).parent)
    )
    if count:
        _log.warning(
            "%d images had no row", count, extra={"action": "rows_rebuilt", "count": count}
        )
    return count


def rebuild_recent(store: FileStore, database: Database) -> int:
    """The same for the studies that took files last: what a crash lost is among them.

    Rows follow files within seconds, or once the database is back. Counted from the newest file,
    so that it does not matter for how long the node was off.
    """
    since = store.newest_image_at() - RECENT_SECONDS
    return rebuild(store, database, folders=store.image_folders(changed_since=since))


def _record(database: Database, found: Sequence[Instance]) -> int:
    # In the order of arrival, because the later of two contents of one image is the valid one.
    for chunk in _chunks(sorted(found, key=lambda one: one.received_at)):
        write(database, chunk)
    return len(found)


def _unrecorded(store: FileStore, database: Database, paths: Sequence[str]) -> list[str]:
    with database.read() as session:
        recorded = studies.recorded_paths(session, paths)
        removed = studies.removed_paths(session, paths)
    return [
        path
        for path in paths
        if path not in recorded and not store.is_left_over(path, removed.get(path))
    ]


def _chunks(values: Iterable[_Value]) -> Iterator[list[_Value]]:
    rest = iter(values)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


def _instance(store: FileStore, path: str) -> Instance | None:
    """What the receipt of this file would have said; None when the file is damaged."""
    file = store.path_of(path)
    try:
        received_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        received = part10.parse(file.read_bytes())
        header = headers.read(received.encoded, received.transfer_syntax_uid)
    except UnreadableInput as error:
        _set_aside(file, error)
        return None
    except OSError as error:  # a bad sector must not keep the others from their rows
        _log.error(
            "A kept image cannot be read and has no row: %s",
            error.strerror,
            extra={"action": "image_unreadable", "file": file.name},
        )
        return None
    return Instance(
        study_uid=header.study_uid,
        series_uid=header.series_uid,
        sop_uid=header.sop_uid,
        sop_class_uid=header.sop_class_uid,
        transfer_syntax_uid=received.transfer_syntax_uid,
        source_ae=received.source_ae,
        priority=header.priority,
        path=path,
        content_sha256=part10.content_sha256(received.encoded, received.transfer_syntax_uid),
        received_at=received_at,
        computed=header.computed,
    )


def _set_aside(file: Path, error: UnreadableInput) -> None:
    file.replace(file.with_name(file.name + _DAMAGED_SUFFIX))
    _log.error(
        "A kept image is damaged and was renamed: %s",
        error,
        extra={"action": "image_damaged", "file": file.name},
    )

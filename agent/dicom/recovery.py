"""Rows of kept images: written in one commit, and made anew from the files where they were lost."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import PurePosixPath
from typing import TypeVar

from agent.dicom import headers, part10
from agent.errors import UnreadableInput
from storage import studies
from storage.database import Database
from storage.errors import Conflict, DamagedFile, NotFound, StorageError
from storage.records import Instance
from storage.store import Store, is_left_over

_log = logging.getLogger(__name__)

RECENT_SECONDS = 24 * 3600.0

_CHUNK = 200
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


def rebuild(store: Store, database: Database, *, folders: Iterable[str] | None = None) -> int:
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


def rebuild_recent(store: Store, database: Database) -> int:
    """The same for the studies that took files last: what a crash lost is among them.

    Rows follow files within seconds, or once the database is back. Counted from the newest file,
    so that it does not matter for how long the node was off.
    """
    return rebuild(store, database, folders=store.image_folders(within_seconds=RECENT_SECONDS))


def _record(database: Database, found: Sequence[Instance]) -> int:
    # In the order of arrival, because the later of two contents of one image is the valid one.
    for chunk in _chunks(sorted(found, key=lambda one: one.received_at)):
        write(database, chunk)
    return len(found)


def _unrecorded(store: Store, database: Database, paths: Sequence[str]) -> list[str]:
    with database.read() as session:
        recorded = studies.recorded_paths(session, paths)
        removed = studies.removed_paths(session, paths)
    return [
        path
        for path in paths
        if path not in recorded and not is_left_over(store, path, removed.get(path))
    ]


def _chunks(values: Iterable[_Value]) -> Iterator[list[_Value]]:
    rest = iter(values)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


def _instance(store: Store, path: str) -> Instance | None:
    """What the receipt of this file would have said; None when the file is damaged."""
    try:
        received_at = store.came_at(path)
        received = part10.parse(store.read(path))
        header = headers.read(received.encoded, received.transfer_syntax_uid)
    except UnreadableInput as error:
        _set_aside(store, path, error)
        return None
    except NotFound:  # retention took it at this moment
        return None
    except (OSError, DamagedFile) as error:  # a bad sector must not keep others from their rows
        _log.error(
            "A kept image cannot be read and has no row: %s",
            error.strerror if isinstance(error, OSError) else error,
            extra={"action": "image_unreadable", "file": PurePosixPath(path).name},
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
        received_at=received_at or datetime.now(UTC),
        computed=header.computed,
    )


def _set_aside(store: Store, path: str, error: UnreadableInput) -> None:
    store.set_aside(path)
    _log.error(
        "A kept image is damaged and was renamed: %s",
        error,
        extra={"action": "image_damaged", "file": PurePosixPath(path).name},
    )

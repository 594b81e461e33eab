"""Rows of received images, written in batches so that receiving is not one commit an image.

The file is the truth: it is durable before a receipt is added, and `rebuild` makes the rows that a
crash lost from the files. So nothing here may hold up a C-STORE for long, or make it fail.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

from agent.dicom import headers, part10
from agent.errors import UnreadableInput
from storage import studies
from storage.database import Database
from storage.errors import Conflict, NotFound, StorageError
from storage.files import FileStore
from storage.records import Instance, StudyUid

_log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 15.0
_REBUILD_CHUNK = 200
_Value = TypeVar("_Value")
_DAMAGED_SUFFIX = ".damaged"


class Receipts:
    """Instances on their way into the database; one thread commits them in batches."""

    def __init__(
        self,
        database: Database,
        *,
        flush_seconds: float = 0.05,
        patience_seconds: float = 0.5,
        maximum_batch: int = 500,
        maximum_waiting: int = 5000,
    ) -> None:
        self._database = database
        self._flush_seconds = flush_seconds
        self._patience_seconds = patience_seconds
        self._maximum_batch = maximum_batch
        self._maximum_waiting = maximum_waiting
        self._waiting: deque[Instance] = deque()
        self._changed = threading.Condition()
        self._added = self._settled = 0
        self._urgent = self._stopping = False
        self._thread = threading.Thread(target=self._run, name="receipts", daemon=True)

    def start(self) -> None:
        """Begin to commit."""
        self._thread.start()

    def stop(self, *, timeout_seconds: float = 10.0) -> None:
        """Commit what is waiting, with one try, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout_seconds)

    def add(self, instance: Instance) -> None:
        """Hand a kept image over. Slows the caller a little when the database falls behind."""
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._waiting) < self._maximum_waiting, self._patience_seconds
            )
            self._waiting.append(instance)
            self._added += 1
            self._changed.notify_all()

    def hurry(self) -> None:
        """Commit what is waiting without gathering more. Returns at once."""
        with self._changed:
            self._urgent = bool(self._waiting)
            self._changed.notify_all()

    def flush(self, *, timeout_seconds: float = 30.0) -> bool:
        """Wait until everything added so far is committed; False when time ran out first."""
        self.hurry()
        with self._changed:
            target = self._added
            return self._changed.wait_for(lambda: self._settled >= target, timeout_seconds)

    def waiting_studies(self) -> frozenset[StudyUid]:
        """Studies with an image that has no row yet."""
        with self._changed:
            return frozenset(instance.study_uid for instance in self._waiting)

    def waiting(self) -> tuple[Instance, ...]:
        """Images whose file is durable and that have no row yet."""
        with self._changed:
            return tuple(self._waiting)

    def _run(self) -> None:
        while batch := self._next_batch():
            if not self._committed(batch):
                _log.error(
                    "%d images have no row yet; the next start makes them from the files",
                    len(self._waiting),
                    extra={"action": "receipts_left", "count": len(self._waiting)},
                )
                return
            self._settle(len(batch))

    def _next_batch(self) -> Sequence[Instance]:
        """The oldest waiting instances; empty when stopping and none is left."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or self._stopping)
            self._changed.wait_for(self._is_due, self._flush_seconds)
            return list(islice(self._waiting, self._maximum_batch))

    def _is_due(self) -> bool:
        return self._urgent or self._stopping or len(self._waiting) >= self._maximum_batch

    def _settle(self, count: int) -> None:
        with self._changed:
            for _ in range(count):
                self._waiting.popleft()
            self._settled += count
            self._urgent = self._urgent and bool(self._waiting)
            self._changed.notify_all()

    def _committed(self, batch: Sequence[Instance]) -> bool:
        """Try until the database takes the batch; False when told to stop before that."""
        delay_seconds = FIRST_RETRY_SECONDS
        while True:
            try:
                self._write(batch)
            except StorageError as error:
                _log.warning(
                    "%d images wait for their row: %s Trying again in %.1f s",
                    len(self._waiting),
                    error,
                    delay_seconds,
                    extra={"action": "receipts_retry", "count": len(self._waiting)},
                )
            else:
                return True
            with self._changed:
                if self._stopping or self._changed.wait_for(self._is_stopping, delay_seconds):
                    return False
            delay_seconds = min(2 * delay_seconds, LONGEST_RETRY_SECONDS)

    def _is_stopping(self) -> bool:
        return self._stopping

    def _write(self, batch: Sequence[Instance]) -> None:
        """One commit; when one row is refused for good, the others still go in."""
        try:
            with self._database.begin() as session:
                studies.record_instances(session, batch)
        except Exception as error:  # border of this thread: a bad row must not end receiving
            if _passes(error):
                raise
            if len(batch) == 1:
                _log.exception(
                    "An image has no row; its file is kept",
                    extra={"action": "receipt_refused", "sop_uid": batch[0].sop_uid},
                )
                return
            for instance in batch:
                self._write([instance])


def _passes(error: Exception) -> bool:
    """Whether the database is away, locked or full, rather than unwilling to take this row."""
    return isinstance(error, StorageError) and not isinstance(error, Conflict | NotFound)


def rebuild(store: FileStore, database: Database) -> int:
    """Make rows for the image files that have none, and return how many were made.

    A damaged file is logged and renamed, so that it is looked at by a person and not read again.
    """
    lost = [path for paths in _chunks(store.image_paths()) for path in _unrecorded(database, paths)]
    found = (_instance(store, path) for path in lost)
    # In the order of arrival, because the later of two contents of one image is the valid one.
    instances = sorted((one for one in found if one is not None), key=lambda one: one.received_at)
    for chunk in _chunks(instances):
        with database.begin() as session:
            studies.record_instances(session, chunk)
    if instances:
        _log.warning(
            "%d images had no row",
            len(instances),
            extra={"action": "rows_rebuilt", "count": len(instances)},
        )
    return len(instances)


def _unrecorded(database: Database, paths: Sequence[str]) -> list[str]:
    with database.read() as session:
        recorded = studies.recorded_paths(session, paths)
    return [path for path in paths if path not in recorded]


def _chunks(values: Iterable[_Value]) -> Iterator[list[_Value]]:
    rest = iter(values)
    while chunk := list(islice(rest, _REBUILD_CHUNK)):
        yield chunk


def _instance(store: FileStore, path: str) -> Instance | None:
    """What the receipt of this file would have said; None when the file is damaged."""
    file = store.path_of(path)
    try:
        received = part10.parse(file.read_bytes())
        header = headers.read(received.encoded, received.transfer_syntax_uid)
    except UnreadableInput as error:
        _set_aside(file, error)
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
        received_at=datetime.fromtimestamp(file.stat().st_mtime, UTC),
        computed=header.computed,
    )


def _set_aside(file: Path, error: UnreadableInput) -> None:
    file.replace(file.with_name(file.name + _DAMAGED_SUFFIX))
    _log.error(
        "A kept image is damaged and was renamed: %s",
        error,
        extra={"action": "image_damaged", "file": file.name},
    )

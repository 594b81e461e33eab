"""Rows of received images, written in batches so that receiving is not one commit an image.

The file is the truth: it is durable before a receipt is added, and `recovery` makes the rows that a
crash lost from the files. So nothing here may hold up a C-STORE for long, or make it fail. While
the database is away the queue grows to its bound and no further: later images are left to
`recovery`, which runs once the queue is written.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice

from agent.dicom import recovery
from storage.database import Database
from storage.errors import StorageError
from storage.records import Instance, StudyUid
from storage.store import Store

_log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 15.0


class Receipts:
    """Instances on their way into the database; one thread commits them in batches."""

    def __init__(
        self,
        database: Database,
        store: Store,
        *,
        flush_seconds: float = 0.05,
        patience_seconds: float = 0.5,
        maximum_batch: int = 500,
        maximum_waiting: int = 5000,
    ) -> None:
        self._database = database
        self._store = store
        self._flush_seconds = flush_seconds
        self._patience_seconds = patience_seconds
        self._maximum_batch = maximum_batch
        self._maximum_waiting = maximum_waiting
        self._waiting: deque[Instance] = deque()
        self._unqueued: set[StudyUid] = set()  # studies with images left to `rebuild`
        self._unqueued_count = 0
        self._being_rebuilt: set[StudyUid] = set()
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
            room = self._unqueued_count == 0 and self._changed.wait_for(
                lambda: len(self._waiting) < self._maximum_waiting, self._patience_seconds
            )
            if room and self._unqueued_count == 0:
                self._waiting.append(instance)
            else:  # so do all that follow, for the order of arrival matters
                self._leave_to_rebuild(instance.study_uid)
            self._added += 1
            self._changed.notify_all()

    def _leave_to_rebuild(self, study_uid: StudyUid) -> None:
        if self._unqueued_count == 0:
            _log.warning(
                "%d images wait for their row; the rows of later ones are made from the files",
                len(self._waiting),
                extra={"action": "receipts_full", "count": len(self._waiting)},
            )
        self._unqueued.add(study_uid)
        self._unqueued_count += 1

    def hurry(self) -> None:
        """Commit what is waiting without gathering more. Returns at once."""
        with self._changed:
            self._urgent = bool(self._waiting)
            self._changed.notify_all()

    @property
    def waiting_count(self) -> int:
        """How many images have no row yet."""
        with self._changed:
            return self._added - self._settled

    def flush(self, *, timeout_seconds: float = 30.0) -> bool:
        """Wait until everything added so far is committed; False when time ran out first."""
        self.hurry()
        with self._changed:
            target = self._added
            return self._changed.wait_for(lambda: self._settled >= target, timeout_seconds)

    def waiting_studies(self) -> frozenset[StudyUid]:
        """Studies with an image that has no row yet."""
        with self._changed:
            return frozenset(instance.study_uid for instance in self._waiting).union(
                self._unqueued, self._being_rebuilt
            )

    def waiting(self) -> tuple[Instance, ...]:
        """Images whose file is durable and that have no row yet."""
        with self._changed:
            return tuple(self._waiting)

    def _run(self) -> None:
        while (batch := self._next_batch()) or self._unqueued_count:
            done = (
                self._tried(partial(recovery.write, self._database, batch))
                if batch
                else self._rebuilt()
            )
            if not done:
                count = self.waiting_count
                _log.error(
                    "%d images have no row yet; the next start makes them from the files",
                    count,
                    extra={"action": "receipts_left", "count": count},
                )
                return
            if batch:
                self._settle(len(batch))

    def _next_batch(self) -> Sequence[Instance]:
        """The oldest waiting instances; empty when stopping or rebuilding, and none is left."""
        with self._changed:
            self._changed.wait_for(
                lambda: bool(self._waiting or self._unqueued_count) or self._stopping
            )
            self._changed.wait_for(self._is_due, self._flush_seconds)
            return list(islice(self._waiting, self._maximum_batch))

    def _is_due(self) -> bool:
        full = len(self._waiting) >= self._maximum_batch
        return self._urgent or self._stopping or bool(self._unqueued_count) or full

    def _settle(self, count: int) -> None:
        with self._changed:
            for _ in range(count):
                self._waiting.popleft()
            self._settled += count
            self._urgent = self._urgent and bool(self._waiting)
            self._changed.notify_all()

    def _rebuilt(self) -> bool:
        """Make the rows of all that found no place in the queue, which is empty."""
        with self._changed:  # from here on there is room again, and the order is kept
            studies_left, count = self._unqueued, self._unqueued_count
            self._being_rebuilt, self._unqueued, self._unqueued_count = studies_left, set(), 0
        folders = [self._store.image_folder(study_uid) for study_uid in studies_left]
        rebuild = partial(recovery.rebuild, self._store, self._database, folders=folders)
        if not self._tried(rebuild):
            return False
        with self._changed:
            self._being_rebuilt = set()
            self._settled += count
            self._changed.notify_all()
        return True

    def _tried(self, write: Callable[[], object]) -> bool:
        """Try until the database takes it; False when told to stop before that."""
        delay_seconds = FIRST_RETRY_SECONDS
        while True:
            try:
                write()
            except (StorageError, OSError) as error:
                count = self.waiting_count
                _log.warning(
                    "%d images wait for their row: %s Trying again in %.1f s",
                    count,
                    error,
                    delay_seconds,
                    extra={"action": "receipts_retry", "count": count},
                )
            else:
                return True
            with self._changed:
                if self._stopping or self._changed.wait_for(self._is_stopping, delay_seconds):
                    return False
            delay_seconds = min(2 * delay_seconds, LONGEST_RETRY_SECONDS)

    def _is_stopping(self) -> bool:
        return self._stopping

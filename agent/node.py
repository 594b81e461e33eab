"""The running node: what is started, in which order, and how it ends."""

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from agent import audit_trail, liveness
from agent.audit_trail import Trail
from agent.completion import Completion
from agent.dicom import recovery
from agent.dicom.listener import Listener
from agent.dicom.receipts import Receipts
from agent.engine import Worker
from agent.errors import ConfigurationError
from agent.housekeeping import Housekeeping
from agent.jobs import Jobs
from agent.liveness import Heart, Strays
from agent.presence import Presence
from agent.status import workers
from agent.status.server import StatusServer
from agent.tidying import Tidying
from agent.training_queue import TrainingWorker
from storage.database import Database
from storage.errors import StorageError
from storage.store import Store

logger = logging.getLogger(__name__)

RECONCILE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Reception:
    """The listening role: takes images and says when a study is complete."""

    database: Database
    store: Store
    receipts: Receipts
    listener: Listener
    completion: Completion
    tidying: Tidying
    presence: Presence | None = None  # where there may be other listeners

    def start(self) -> None:
        """Repair what a crash left, then accept associations."""
        if not self.presence:  # which lets nobody complete a study that lacks rows
            recovery.rebuild_recent(self.store, self.database)
        self.receipts.start()
        if self.presence:
            self.presence.start()
        self.listener.start()
        self.completion.start()
        self.tidying.start()

    def stop(self) -> None:
        """Close the door first, then write what is waiting."""
        self.listener.stop()
        self.tidying.stop()
        self.completion.stop()
        self.receipts.stop()
        if self.presence:
            self.presence.stop()


class Work:
    """The working role: runs the queue, and finds work that nobody does any more.

    `heart` is there where several hosts share the work.
    """

    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        worker: Worker,
        lock: FileLock,
        heart: Heart | None = None,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._worker = worker
        self._lock = lock
        self._heart = heart
        self._strays = Strays(jobs, worker)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="reconcile", daemon=True)

    @property
    def _lock_file(self) -> Path:
        return Path(self._lock.lock_file)

    @property
    def is_lost(self) -> bool:
        """Whether a worker on another host has taken this slot."""
        return self._heart is not None and self._heart.is_lost

    def start(self) -> None:
        """Take this slot, then take up work. Raises ConfigurationError when the slot is taken."""
        try:
            self._lock.acquire(blocking=False)
        except Timeout as error:
            raise ConfigurationError(
                "Another worker already runs in this slot; give each its own node.slot."
            ) from error
        if self._heart:
            self._heart.start()
        self._worker.start()
        workers.sign(self._lock_file)
        self._thread.start()

    def stop(self) -> None:
        """Finish the running step; the rest waits for the next start."""
        self._stopping.set()
        self._worker.stop()
        self._thread.join()
        if self._heart:
            self._heart.stop()
        workers.unsign(self._lock_file)
        self._lock.release()

    def _watch(self) -> None:
        pause_seconds = self._heart.beat_seconds if self._heart else RECONCILE_SECONDS
        next_reconcile = time.monotonic()
        while True:
            due = time.monotonic() >= next_reconcile
            if due:
                next_reconcile = time.monotonic() + RECONCILE_SECONDS
                with contextlib.suppress(OSError):  # a sign that is late is an alarm, no more
                    workers.sign(self._lock_file)
            try:
                self._look(reconcile=due)
            except StorageError as error:
                logger.warning("Reconciling waits: %s", error, extra={"action": "reconcile_waits"})
            if self._stopping.wait(pause_seconds):
                return

    def _look(self, *, reconcile: bool) -> None:
        if self._heart and self._heart.may_judge:
            liveness.take_over(self._database, self._jobs)
        if reconcile:
            if not self._heart:
                liveness.take_over_here(self._database, self._jobs, self._is_dead)
            self._strays.look()
            liveness.reconcile(self._database, self._jobs)

    def _is_dead(self, executor_id: str) -> bool:
        """Whether no process of this host holds the lock of a worker's slot."""
        if executor_id == self._worker.executor_id or not executor_id.startswith("worker-"):
            return False
        lock = FileLock(self._lock_file.with_name(f"{executor_id}.lock"))
        try:
            with lock.acquire(blocking=False):
                return True
        except Timeout:
            return False


class Training:
    """The training role: runs the training queue, and only that."""

    def __init__(
        self, *, worker: TrainingWorker, lock: FileLock, heart: Heart | None = None
    ) -> None:
        self._worker = worker
        self._lock = lock
        self._heart = heart

    @property
    def is_lost(self) -> bool:
        """Whether a process on another host trains instead."""
        return self._heart is not None and self._heart.is_lost

    def take_slot(self) -> bool:
        """Become the one that trains on this node; False where another process is."""
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        return True

    def start(self) -> None:
        """Take up work. Raises ConfigurationError when another process trains."""
        if not self._lock.is_locked and not self.take_slot():
            raise ConfigurationError("Another process of this node trains already.")
        if self._heart:
            self._heart.start()
        self._worker.start()

    def stop(self) -> None:
        """Break off; the rest waits for the next start."""
        self._worker.stop()
        if self._heart:
            self._heart.stop()
        self._lock.release()


@dataclass(frozen=True, kw_only=True)
class Node:
    """One process with one role or both; `name` is what the audit calls it."""

    name: str
    trail: Trail
    database: Database
    jobs: Jobs
    reception: Reception | None
    work: Work | None
    status: StatusServer | None = None
    training: Training | None = None
    housekeeping: Housekeeping | None = None

    @property
    def is_lost(self) -> bool:
        """Whether a process on another host has taken the place of this one, which must end."""
        return any(role.is_lost for role in (self.work, self.training) if role)

    def start(self) -> None:
        """Work first, so that nothing received waits for it."""
        self.trail.start()
        if self.work:
            self.work.start()
        if self.housekeeping:
            self.housekeeping.start()
        if self.training:
            self.training.start()
        if self.reception:
            self.reception.start()
        if self.status and self.status.try_start():
            logger.info(
                "The status page is at %s", self.status.url, extra={"action": "status_page_ready"}
            )
        self.trail.tell(self.name, audit_trail.NODE_STARTED, self._roles)

    def stop(self) -> None:
        """The other way round."""
        if self.status:
            self.status.stop()
        if self.reception:
            self.reception.stop()
        if self.housekeeping:
            self.housekeeping.stop()
        if self.work:
            self.work.stop()
        if self.training:
            self.training.stop()
        self.trail.tell(self.name, audit_trail.NODE_STOPPED, self._roles)
        self.trail.stop()
        self.jobs.close()
        self.database.close()

    @property
    def _roles(self) -> str:
        roles = {"listen": self.reception, "work": self.work, "train": self.training}
        return ", ".join(name for name, role in roles.items() if role)

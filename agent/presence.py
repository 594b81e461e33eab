"""Listeners on several hosts: what each tells the others, and what they do when one is gone.

A study is complete only when no listener has an association open with images of it. On PostgreSQL
each says in the database which studies may grow at it, when that changes and from time to time
while it lives. A study is quiet for seconds before it counts as complete, so the moment that this
takes loses nothing; and should an image come still later, it makes a new revision, as always.

Files are the truth: when a listener dies with images that have no row yet, the next one to notice
makes the rows, as its own start would.
"""

import logging
import threading
import time
import uuid

from agent.completion import OpenStudies
from agent.dicom import recovery
from storage import listeners
from storage.database import Database
from storage.errors import StorageError
from storage.records import StudyUid
from storage.store import Store

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
BEATS_PER_LEASE = 5


class Presence:
    """One listener among others; an `OpenStudies` over all of them."""

    def __init__(
        self,
        database: Database,
        store: Store,
        listener: OpenStudies,
        *,
        place: str,
        lease_seconds: float,
    ) -> None:
        self._database = database
        self._store = store
        self._listener = listener
        self._name = uuid.uuid4().hex
        self._place = place
        self._lease_seconds = lease_seconds
        self._told: frozenset[StudyUid] = frozenset()
        self._told_at = 0.0
        self._steady_since = 0.0
        self._rebuilding: threading.Thread | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def start(self) -> None:
        """Tell the others before the first image can come."""
        self._tell(frozenset())
        self._thread.start()

    def stop(self) -> None:
        """Leave; what this listener took has its rows, or gets them at the next start."""
        self._stopping.set()
        self._thread.join()
        try:
            with self._database.begin() as session:
                listeners.leave(session, self._name)
        except StorageError as error:  # it runs out by itself
            logger.warning("The lease stays: %s", error, extra={"action": "lease_left"})

    def open_studies(self) -> frozenset[StudyUid]:
        """Studies that may still grow, here or at another listener."""
        with self._database.read() as session:
            return self._listener.open_studies() | listeners.open_at_others(session, self._name)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self._look()
            except StorageError as error:
                logger.warning("A heartbeat is late: %s", error, extra={"action": "beat_late"})
                self._stopping.wait(1.0)

    def _look(self) -> None:
        growing = self._listener.open_studies()
        due = time.monotonic() > self._told_at + self._lease_seconds / BEATS_PER_LEASE
        if due or growing != self._told:
            self._tell(growing)
        if due and time.monotonic() > self._steady_since:
            self._succeed()

    def _tell(self, growing: frozenset[StudyUid]) -> None:
        with self._database.begin() as session:
            listeners.renew(
                session,
                self._name,
                place=self._place,
                open_studies=growing,
                seconds=self._lease_seconds,
            )
        now = time.monotonic()
        if now > self._told_at + self._lease_seconds / 2:
            # It may have been the database that was away: then every lease has run out.
            self._steady_since = now + self._lease_seconds
        self._told, self._told_at = growing, now

    def _succeed(self) -> None:
        """Make the rows that a dead listener owes, unless that is being done."""
        if self._rebuilding is not None and self._rebuilding.is_alive():
            return
        with self._database.begin() as session:
            gone = listeners.bury(session)
        if gone:
            logger.warning(
                "A listener on another host is gone; images without a row get theirs",
                extra={"action": "listener_gone", "count": len(gone)},
            )
            self._rebuilding = threading.Thread(target=self._rebuild, name="rebuild", daemon=True)
            self._rebuilding.start()

    def _rebuild(self) -> None:
        while not self._stopping.is_set():
            try:
                recovery.rebuild(self._store, self._database)
            except (StorageError, OSError) as error:
                logger.warning("Rebuilding waits: %s", error, extra={"action": "rebuild_waits"})
                self._stopping.wait(5.0)
            else:
                return

"""Listeners on several hosts: what each tells the others, and what they do when one is gone.

A study is complete only when no listener has an association open with images of it. On PostgreSQL
each says in the database which studies may grow at it, when that changes and from time to time
while it lives. A study is quiet for seconds before it counts as complete, so the moment that this
takes loses nothing; and should an image come still later, it makes a new revision, as always.

Files are the truth: the images of a dead listener that have no row yet get it from the others, or
from its next start. The studies that grew at it are looked at first, and nobody completes them
before that is done. Then comes every file there is, beside the work (`tidying`): where the database
was away, the dead one could not say what grew.
"""

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence

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
        look_at_all: Callable[[], None],
        place: str,
        lease_seconds: float,
    ) -> None:
        self._database = database
        self._store = store
        self._listener = listener
        self._look_at_all = look_at_all
        self._name = uuid.uuid4().hex
        self._place = place
        self._lease_seconds = lease_seconds
        self._told: frozenset[StudyUid] = frozenset()
        self._told_at = 0.0
        self._steady_since = 0.0
        self._burying: threading.Thread | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def start(self) -> None:
        """Tell the others before the first image can come."""
        self._tell(frozenset())
        self._thread.start()

    def stop(self) -> None:
        """Leave, unless images have no row: then the others look after them once this is silent."""
        self._stopping.set()
        self._thread.join()
        try:
            if owed := self._listener.open_studies():
                self._tell(owed)
                return
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
        """Make the rows that dead listeners owe, unless that is being done."""
        if self._burying is not None and self._burying.is_alive():
            return
        with self._database.read() as session:
            dead = listeners.dead(session)
        if dead:
            logger.warning(
                "%d listeners are gone; images without a row get theirs",
                len(dead),
                extra={"action": "listener_gone", "count": len(dead)},
            )
            self._burying = threading.Thread(
                target=self._bury, args=(dead,), name="bury", daemon=True
            )
            self._burying.start()

    def _bury(self, dead: Mapping[str, frozenset[StudyUid]]) -> None:
        for name, grew in dead.items():
            if not self._rebuild([self._store.image_folder(one) for one in sorted(grew)]):
                return
            with contextlib.suppress(StorageError), self._database.begin() as session:
                listeners.bury(session, name)
        self._look_at_all()

    def _rebuild(self, folders: Sequence[str]) -> bool:
        try:
            recovery.rebuild(self._store, self._database, folders=folders)
        except (StorageError, OSError) as error:
            logger.warning("Rebuilding waits: %s", error, extra={"action": "rebuild_waits"})
            return False
        return True

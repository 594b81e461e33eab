"""What the node writes into its audit by itself: instances in and out, doors, starts and stops.

Receiving and sending are noted in the transaction that they end, as its last statement, so that
nobody waits for a lock while holding the audit's. Everything else is told to a `Trail`, which
writes later: who tells never waits for it and never fails by it.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from storage import audit
from storage.database import Database
from storage.errors import StorageError
from storage.records import Study, StudyKey

_log = logging.getLogger(__name__)

NODE_STARTED = "node started"
NODE_STOPPED = "node stopped"
IMAGES_RECEIVED = "images received"
RESULTS_SENT = "results sent"
RESULTS_NOT_SENT = "results not sent"
ASSOCIATION_REJECTED = "association rejected"
SIGNED_IN = "signed in"
SIGN_IN_FAILED = "sign-in failed"
SIGNED_OUT = "signed out"
NAMES_SEEN = "patient names seen"
STUDY_CANCELLED = "study cancelled"
STUDY_RETRIED = "study queued again"
STUDY_REREAD = "study read anew"
STUDY_REMOVED = "study removed"
AUDIT_EXPORTED = "audit exported"
BACKED_UP = "node backed up"

RETRY_SECONDS = 5.0
SELDOM_SECONDS = 600.0

Tell = Callable[[str, str, str], None]  # who, action, subject


def received(session: Session, study: Study) -> None:
    """A revision is complete; to be the last statement of its transaction."""
    audit.append(
        session,
        who=study.source_ae,
        action=IMAGES_RECEIVED,
        subject=study.key,
        detail=f"{study.instance_count} images",
        now=datetime.now(UTC),
    )


def sent(
    session: Session, key: StudyKey, *, by: str, destination: str, stored: int, tried: int
) -> None:
    """A destination was sent results; to be the last statement of the transaction."""
    audit.append(
        session,
        who=by,
        action=RESULTS_SENT if stored == tried else RESULTS_NOT_SENT,
        subject=key,
        detail=f"{destination}: {stored} of {tried} stored",
        now=datetime.now(UTC),
    )


def ignore(who: str, action: str, subject: str) -> None:
    """Where nobody keeps a trail."""
    del who, action, subject


@dataclass(frozen=True, kw_only=True)
class _Event:
    who: str
    action: str
    subject: str
    at: datetime


class Trail:
    """Writes events in a thread of its own, in the order in which they were told."""

    def __init__(self, database: Database, *, maximum_waiting: int = 1000) -> None:
        self._database = database
        self._maximum_waiting = maximum_waiting
        self._waiting: deque[_Event] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="audit-trail", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self, *, timeout_seconds: float = 10.0) -> None:
        """Write what is waiting, with one try, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def tell(self, who: str, action: str, subject: str) -> None:
        """Note an event; one too many is counted and said in the log."""
        event = _Event(who=who, action=action, subject=subject, at=datetime.now(UTC))
        with self._changed:
            if len(self._waiting) >= self._maximum_waiting:
                self._lost += 1
                return
            self._waiting.append(event)
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                batch, lost, self._lost = list(self._waiting), self._lost, 0
            if lost:
                _log.error(
                    "%d events are missing in the audit: there were too many at once",
                    lost,
                    extra={"action": "audit_events_lost", "count": lost},
                )
            if batch and self._written(batch):
                with self._changed:
                    for _ in batch:
                        self._waiting.popleft()
            with self._changed:
                if self._stopping:
                    return

    def _written(self, batch: list[_Event]) -> bool:
        try:
            with self._database.begin() as session:
                for one in batch:
                    audit.append(
                        session, who=one.who, action=one.action, subject=one.subject, now=one.at
                    )
        except StorageError as error:
            _log.warning("The audit waits: %s", error, extra={"action": "audit_waits"})
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, RETRY_SECONDS)
            return False
        return True


class Seldom:
    """Lets each key through once in a while, and only so many keys in all.

    Whoever knocks without end, from as many addresses as he likes, shall not fill the audit.
    """

    def __init__(self, *, seconds: float = SELDOM_SECONDS, most: int = 100) -> None:
        self._seconds = seconds
        self._most = most
        self._passed: dict[Hashable, float] = {}
        self._lock = threading.Lock()

    def may_pass(self, key: Hashable) -> bool:
        """Whether it is the key's turn."""
        now = time.monotonic()
        with self._lock:
            recent = {one: at for one, at in self._passed.items() if now - at < self._seconds}
            passes = key not in recent and len(recent) < self._most
            self._passed = recent | {key: now} if passes else recent
        return passes

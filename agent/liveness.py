"""Whoever dies, the work goes on: signs of life, takeover, and studies that have no work left.

On PostgreSQL several hosts share the work. Each worker renews a lease there (`Heart`); the runs of
one whose lease has run out are given to the others (`take_over`). A worker that was only frozen
loses nothing but time: the engine records no step of a run that another has taken, and steps may
run twice. On SQLite there is one host: its next start takes up what the last one left.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from agent.errors import ConfigurationError
from agent.jobs import TRAINING_QUEUE, Jobs, Run
from storage import executors, studies
from storage.database import Database, open_database
from storage.enums import TERMINAL_STATES, StudyState
from storage.errors import StorageError
from storage.executors import Beat, Lease
from storage.records import Study

logger = logging.getLogger(__name__)

BEATS_PER_LEASE = 5
TAKEOVERS = 3  # how many workers a run may take down with it
_POISON = "The analysis stopped the worker repeatedly."
_NO_WAY_OUT = "Returning the results stopped the worker repeatedly."
_BEFORE_RESULTS = frozenset({StudyState.COMPLETE, StudyState.ANALYSING})


class Heart:
    """Says in the database that an executor lives, in a thread and over a connection of its own.

    A call that holds Python's lock for longer than four fifths of the lease makes others take the
    work over; that costs time and nothing else.
    """

    def __init__(
        self, database: Database, *, executor_id: str, place: str, lease_seconds: float
    ) -> None:
        self._url = database.url
        self._database: Database | None = None
        self._lease = Lease(
            executor_id=executor_id,
            owner=uuid.uuid4().hex,
            place=place,
            seconds=lease_seconds,
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self._steady_since = time.monotonic()
        self.is_lost = False

    @property
    def beat_seconds(self) -> float:
        """How often the lease is renewed."""
        return self._lease.seconds / BEATS_PER_LEASE

    @property
    def may_judge(self) -> bool:
        """Whether to believe that the others are dead.

        Not within a lease of a gap of our own: it may have been the database that was away, and
        then every lease has run out.
        """
        return not self.is_lost and time.monotonic() >= self._steady_since

    def start(self) -> None:
        """Take the name, then keep it. Raises ConfigurationError while another host has it.

        The lease of a host that died there is waited for.
        """
        self._database = open_database(self._url)
        try:
            self._take_name()
        except Exception:
            self._database.close()
            raise
        self._thread.start()

    def stop(self) -> None:
        """Give the name back."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._database is not None:
            try:
                with self._database.begin() as session:
                    executors.release(session, self._lease)
            except StorageError as error:  # it runs out by itself
                logger.warning("The lease stays: %s", error, extra={"action": "lease_left"})
            self._database.close()

    def _take_name(self) -> None:
        end = time.monotonic() + self._lease.seconds + 2 * self.beat_seconds
        while not self._claim():
            if time.monotonic() > end:
                raise ConfigurationError(
                    f"A worker on another host runs as {self._lease.executor_id} on this database; "
                    "give each its own node.slot."
                )
            self._stopping.wait(self.beat_seconds)

    def _claim(self) -> bool:
        assert self._database is not None
        with self._database.begin() as session:
            return executors.claim(session, self._lease)

    def _run(self) -> None:
        while not self._stopping.wait(self.beat_seconds):
            try:
                self._beat()
            except StorageError as error:
                logger.warning("A heartbeat is late: %s", error, extra={"action": "beat_late"})

    def _beat(self) -> None:
        assert self._database is not None
        with self._database.begin() as session:
            found = executors.beat(session, self._lease)
        if found is Beat.LOST and not self.is_lost:
            self.is_lost = True
            logger.error(
                "Another worker has taken the slot of this one",
                extra={"action": "slot_lost", "executor": self._lease.executor_id},
            )
        elif found is Beat.LAPSED:
            self._steady_since = time.monotonic() + self._lease.seconds
            logger.warning(
                "The lease had run out; others may have taken work over",
                extra={"action": "lease_lapsed", "executor": self._lease.executor_id},
            )


def take_over(database: Database, jobs: Jobs) -> int:
    """Give the runs of dead executors to the others; return how many. PostgreSQL only."""
    with database.begin() as session:
        if not executors.try_reaping(session):
            return 0
        begun = jobs.begun()
        living = executors.living(session)  # after `begun`: who lives now may have begun since
        orphans = [run for run in begun if run.executor_id not in living]
        _hand_on(database, jobs, orphans)
        executors.forget_dead(session)
    return len(orphans)


def take_over_here(database: Database, jobs: Jobs, is_dead: Callable[[str], bool]) -> int:
    """The same on SQLite, where all workers are on one host and can be asked for by name.

    So a slot that is never started again, or under another name, keeps nothing to itself.
    """
    orphans = [run for run in jobs.begun() if is_dead(run.executor_id)]
    _hand_on(database, jobs, orphans)
    return len(orphans)


def _hand_on(database: Database, jobs: Jobs, orphans: list[Run]) -> None:
    dropped = [run for run in orphans if not _handed_on(database, jobs, run)]
    if dropped:
        reconcile(database, jobs)


def _handed_on(database: Database, jobs: Jobs, run: Run) -> bool:
    """Queue a run again; False where it has taken too many workers down and is dropped."""
    with database.begin() as session:  # committed before it can take the next one down
        count = executors.count_takeover(session, run.run_id)
    dropped = count > TAKEOVERS and run.queue != TRAINING_QUEUE  # which is made to be broken off
    if dropped:
        jobs.drop(run)
    else:
        jobs.queue_again(run)
    logger.warning(
        "A run of a dead worker was %s",
        "dropped" if dropped else "taken over",
        extra={
            "action": "run_dropped" if dropped else "run_taken_over",
            "run": run.run_id,
            "executor": run.executor_id,
            "count": count,
        },
    )
    return not dropped


class Busy(Protocol):
    """What is to be known of a worker."""

    @property
    def executor_id(self) -> str:
        """Its name in the engine."""

    def is_busy_with(self, run_id: str) -> bool:
        """Whether a step of that run is in progress."""


class Strays:
    """Finds runs that the engine says this worker has begun, and which it knows nothing of.

    So it is where the database broke off just after it had noted the start.
    """

    def __init__(self, jobs: Jobs, worker: Busy) -> None:
        self._jobs = jobs
        self._worker = worker
        self._seen: frozenset[str] = frozenset()

    def look(self) -> int:
        """Queue again what was seen idle in this look and in the one before."""
        begun = [run for run in self._jobs.begun() if run.executor_id == self._worker.executor_id]
        idle = [run for run in begun if not self._worker.is_busy_with(run.run_id)]
        strays = [run for run in idle if run.run_id in self._seen]
        for run in strays:
            self._jobs.queue_again(run)
            logger.warning(
                "A run that had not begun was queued again",
                extra={"action": "run_queued_again", "run": run.run_id},
            )
        self._seen = frozenset(run.run_id for run in idle)
        return len(strays)


def reconcile(database: Database, jobs: Jobs) -> int:
    """Give work to every unfinished study that has none left; return how many there were.

    Whatever made the engine lose or end a run, the study goes on: a run that took the process
    down too often ends in a report that says so, anything else starts again.
    """
    with database.read() as session:
        unfinished = studies.unfinished(session)
    return sum(_revive(database, jobs, study) for study in jobs.idle(unfinished))


def _revive(database: Database, jobs: Jobs, study: Study) -> bool:
    now = datetime.now(UTC)
    with database.begin() as session:
        # Read again: a run ends only after it has ended the study, so this look is the true one;
        # and locked, as another worker may be reviving it too.
        study = studies.get(session, study.key, lock=True)
        if study.state in TERMINAL_STATES or jobs.is_live(study):
            return False
        if not jobs.is_broken(study):
            jobs.submit_analysis(session, studies.retry(session, study.key, now=now))
        elif study.state in _BEFORE_RESULTS and jobs.can_report_failure(study):
            jobs.submit_failure(session, study, _POISON)
        else:  # not even the report comes out
            why = _POISON if study.state in _BEFORE_RESULTS else _NO_WAY_OUT
            studies.advance(session, study.key, StudyState.FAILED, now=now, error=why)
    logger.warning(
        "An unfinished study had no work left and got it again",
        extra={"action": "study_reconciled", "study": study.key},
    )
    return True

"""When a study counts as complete: looks at the receiving ones, and enqueues those that are.

`completeness` decides, `inquiries` finds out what it needs to know.
"""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from agent import audit_trail, completeness
from agent.completeness import Limits, Step
from agent.inquiries import Inquiries
from agent.jobs import Jobs
from storage import studies
from storage.database import Database
from storage.errors import Conflict, StorageError
from storage.records import Study, StudyUid

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25  # at most, between two looks


class OpenStudies(Protocol):
    """What completion needs of the listener."""

    def open_studies(self) -> frozenset[StudyUid]:
        """Studies that may still grow."""


class Completion:
    """Looks at the receiving studies again and again, and enqueues those that are complete."""

    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        listener: OpenStudies,
        inquiries: Inquiries,
        limits: Callable[[str], Limits],
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._listener = listener
        self._inquiries = inquiries
        self._limits = limits
        self._pause_seconds = 0.0  # until the next look
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="completion", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End after the look in progress."""
        self._stopping.set()
        self._inquiries.news.set()
        self._thread.join()
        self._inquiries.stop()

    def _run(self) -> None:
        while True:
            self._inquiries.news.wait(self._pause_seconds)
            self._inquiries.news.clear()
            if self._stopping.is_set():
                return
            try:
                self._pause_seconds = LOOK_SECONDS
                self.look()
            except StorageError as error:  # the database may be away for a while
                logger.warning(
                    "Completion waits for the database: %s",
                    error,
                    extra={"action": "completion_waits"},
                )

    def look(self) -> None:
        """Take every study with which no association is open one step further."""
        with self._database.read() as session:
            receiving = studies.receiving(session)
        self._inquiries.keep({study.key for study in receiving})
        if receiving:
            growing = self._listener.open_studies()
            for study in receiving:
                if study.study_uid not in growing:
                    self._consider(study)

    def _consider(self, study: Study) -> None:
        facts, limits = self._inquiries.facts(study), self._limits(study.source_ae)
        quiet_in_seconds = limits.quiet_seconds - facts.silence_seconds
        if quiet_in_seconds > 0:
            self._pause_seconds = min(self._pause_seconds, quiet_in_seconds)
        decision = completeness.decide(facts, limits)
        if decision.step is Step.COMPLETE:
            self._complete(study, decision.evidence)
        elif decision.step is not Step.WAIT:
            self._inquiries.begin(study, decision)

    def _complete(self, study: Study, evidence: str) -> None:
        """In one transaction the study moves on and its work is enqueued."""
        try:
            with self._database.begin() as session:
                done = studies.complete(
                    session,
                    study.key,
                    evidence=evidence,
                    now=datetime.now(UTC),
                    instance_count=study.instance_count,
                )
                self._jobs.submit_analysis(session, done)
                audit_trail.received(session, done)
        except Conflict:  # another listener was first, or one more image came
            return
        logger.log(
            logging.WARNING if done.is_incomplete else logging.INFO,
            "Study %s with %d images",
            "read incomplete" if done.is_incomplete else "complete",
            done.instance_count,
            extra={
                "action": "study_complete",
                "study": done.key,
                "priority": done.priority.value,
                "incomplete": done.is_incomplete,
            },
        )

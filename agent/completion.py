"""When a study counts as complete: its associations were released and it was quiet for a while."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from agent import audit_trail
from agent.engine import Jobs
from storage import studies
from storage.database import Database
from storage.errors import Conflict, StorageError
from storage.records import Study, StudyUid

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25


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
        quiet_seconds: Callable[[str], float],
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._listener = listener
        self._quiet_seconds = quiet_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="completion", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End after the look in progress."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self.look()
            except StorageError as error:  # the database may be away for a while
                logger.warning(
                    "Completion waits for the database: %s",
                    error,
                    extra={"action": "completion_waits"},
                )

    def look(self) -> None:
        """Complete every study that has been quiet long enough."""
        with self._database.read() as session:
            receiving = studies.receiving(session)
        if receiving:
            growing = self._listener.open_studies()
            for study in receiving:
                if study.study_uid not in growing and self._is_quiet(study):
                    self._complete(study)

    def _is_quiet(self, study: Study) -> bool:
        silence = (datetime.now(UTC) - study.last_received_at).total_seconds()
        return silence >= self._quiet_seconds(study.source_ae)

    def _complete(self, study: Study) -> None:
        """In one transaction the study moves on and its work is enqueued."""
        quiet_seconds = self._quiet_seconds(study.source_ae)
        evidence = (
            f"No association with images of this study was open and no image came for "
            f"{quiet_seconds:g} s; {study.instance_count} images were received."
        )
        try:
            with self._database.begin() as session:
                done = studies.complete(
                    session, study.key, evidence=evidence, now=datetime.now(UTC)
                )
                self._jobs.submit_analysis(session, done)
                audit_trail.received(session, done)
        except Conflict:  # another listener was first, or one more image came
            return
        logger.info(
            "Study complete with %d images",
            done.instance_count,
            extra={"action": "study_complete", "study": done.key, "priority": done.priority.value},
        )

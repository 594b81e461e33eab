"""Finds unfinished studies that have no work left, and gives them work."""

import logging
from datetime import UTC, datetime

from agent.engine import Jobs
from storage import studies
from storage.database import Database
from storage.records import TERMINAL_STATES, Study

logger = logging.getLogger(__name__)


def reconcile(database: Database, jobs: Jobs) -> int:
    """Give work to every unfinished study that has none left; return how many there were.

    Whatever made the engine lose or end a run, the study goes on: a run that took the process
    down too often ends in a report that says so, anything else starts again.
    """
    with database.read() as session:
        unfinished = studies.unfinished(session)
    return sum(_revive(database, jobs, study) for study in unfinished if not jobs.is_live(study))


def _revive(database: Database, jobs: Jobs, study: Study) -> bool:
    with database.begin() as session:
        # Read again: a run ends only after it has ended the study, so this look is the true one.
        if studies.get(session, study.key).state in TERMINAL_STATES:
            return False
        if jobs.is_broken(study):
            jobs.submit_failure(session, study, "The analysis stopped the worker repeatedly.")
        else:
            jobs.submit_analysis(session, studies.retry(session, study.key, now=datetime.now(UTC)))
    logger.warning(
        "An unfinished study had no work left and got it again",
        extra={"action": "study_reconciled", "study": study.key},
    )
    return True

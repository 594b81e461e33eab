"""How a study ends: every destination has what it is to get, with what proof there is."""

import logging
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from agent.dicom.commitment_messages import Report
from agent.imaging.results import Reason
from storage import proofs, results, studies
from storage.database import Database
from storage.enums import Outcome, StudyState
from storage.errors import Conflict
from storage.records import Analysis, Delivery, StudyKey

logger = logging.getLogger(__name__)


def outstanding(session: Session, key: StudyKey) -> list[Delivery]:
    """The deliveries on which something is left to do."""
    return [one for one in results.deliveries_of(session, key) if not one.is_done]


def finish(session: Session, key: StudyKey) -> None:
    """End the study if every destination has everything."""
    study = studies.get(session, key)
    if study.state is not StudyState.DELIVERING or outstanding(session, key):
        return
    state = _final_state(results.analysis_of(session, key))
    try:
        studies.advance(session, key, state, now=datetime.now(UTC), error=study.error)
    except Conflict:  # another process was first
        return
    logger.info(
        "Study finished: %s",
        state,
        extra={"action": "study_finished", "study": key, "state": state.value},
    )


def take_report(database: Database, report: Report) -> None:
    """Keep a destination's report on storage commitment, and end the studies that waited for it.

    Raises NotFound for a transaction that this node never began.
    """
    with database.begin() as session:
        keys = proofs.answer(
            session,
            report.transaction_uid,
            committed=report.committed,
            failed=report.failed,
            now=datetime.now(UTC),
        )
    logger.log(
        logging.WARNING if report.failed else logging.INFO,
        "A destination committed to %d results and not to %d",
        len(report.committed),
        len(report.failed),
        extra={"action": "commitment_answered", "study": ", ".join(sorted(keys))},
    )
    for key in keys:  # apart, so that of two last reports one sees what the other has written
        with database.begin() as session:
            finish(session, key)


def _final_state(analysis: Analysis | None) -> StudyState:
    if analysis is None or analysis.reason_code == Reason.TECHNICAL_FAILURE:
        return StudyState.FAILED
    if analysis.outcome is Outcome.NOT_ANALYSED:
        return StudyState.NOT_ANALYSED
    return StudyState.DELIVERED

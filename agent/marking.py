"""Keeps what a radiologist says of a study, and who said it, in one transaction."""

from datetime import datetime

from sqlalchemy.orm import Session

from storage import audit, feedback
from storage.enums import Mark
from storage.records import Feedback, Study


def mark(
    session: Session, study: Study, wanted: Mark, *, note: str, by: str, now: datetime
) -> None:
    """Mark a revision of a study; the newest mark of a study counts."""
    said = Feedback(
        study_uid=study.study_uid, revision=study.revision, mark=wanted, note=note, by=by, at=now
    )
    feedback.mark(session, said)
    audit.append(
        session,
        who=by,
        action=f"study marked {wanted}",
        subject=study.key,
        detail=note,
        now=now,
    )

"""What radiologists say of studies; nothing is ever taken back, the newest word counts."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Select, insert, select
from sqlalchemy.orm import Session

from storage import rows, tables
from storage.enums import Mark
from storage.records import Feedback, StudyKey, StudyUid


def mark(session: Session, said: Feedback) -> None:
    """Keep what a person said of a study that is here."""
    rows.study(session, StudyKey(f"{said.study_uid}#{said.revision}"))
    session.execute(insert(tables.feedback).values(asdict(said)))


def history(session: Session, study_uid: StudyUid) -> list[Feedback]:
    """Everything that was said of a study, the newest first."""
    table = tables.feedback
    statement = select(*rows.columns(table, Feedback)).where(table.c.study_uid == study_uid)
    found = session.execute(statement.order_by(table.c.number.desc()))
    return [Feedback(**row._asdict()) for row in found]


def latest(session: Session, study_uid: StudyUid) -> Feedback | None:
    """The word that counts; None where nobody said anything."""
    return newest(session, [study_uid]).get(study_uid)


def newest(session: Session, study_uids: Sequence[StudyUid]) -> dict[StudyUid, Feedback]:
    """The word that counts for each of these studies of which anything was said."""
    table = tables.feedback
    statement = select(*rows.columns(table, Feedback)).where(_is_newest())
    found = {}
    for chunk in rows.chunks(study_uids):
        for row in session.execute(statement.where(table.c.study_uid.in_(chunk))):
            found[row.study_uid] = Feedback(**row._asdict())
    return found


def uids_marked(wanted: Mark) -> Select[Any]:
    """Selects the UIDs of the studies whose newest mark is the wanted one."""
    table = tables.feedback
    return select(table.c.study_uid).where(_is_newest(), table.c.mark == wanted)


def marked(session: Session, wanted: Mark) -> list[Feedback]:
    """The studies whose newest mark is the wanted one, in the order of their marking."""
    table = tables.feedback
    statement = select(*rows.columns(table, Feedback)).where(_is_newest(), table.c.mark == wanted)
    found = session.execute(statement.order_by(table.c.number))
    return [Feedback(**row._asdict()) for row in found]


def _is_newest() -> ColumnElement[bool]:
    """The condition that nothing was said of the study after a row of `feedback`."""
    table, newer = tables.feedback, tables.feedback.alias()
    later = select(newer.c.number).where(
        newer.c.study_uid == table.c.study_uid, newer.c.number > table.c.number
    )
    return ~later.exists()

"""What models said of a revision: the one in force, and beside it the one on trial (`shadow`)."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Table, delete, insert, select
from sqlalchemy.orm import Session

from storage import rows, tables
from storage.records import Analysis, Lesion, StudyKey


def save_analysis(
    session: Session,
    key: StudyKey,
    analysis: Analysis,
    lesions: Sequence[Lesion],
    *,
    shadow: bool = False,
) -> None:
    """Keep what a model said about a revision, in place of what it said before."""
    spoken, found = _tables(shadow)
    study = rows.study(session, key, lock=True)
    owner: dict[str, Any] = {"study_uid": study.study_uid, "revision": study.revision}
    session.execute(delete(found).where(rows.of_revision(found, key)))
    session.execute(delete(spoken).where(rows.of_revision(spoken, key)))
    session.execute(insert(spoken).values(asdict(analysis) | owner))
    if lesions:
        session.execute(insert(found), [asdict(lesion) | owner for lesion in lesions])


def analysis_of(session: Session, key: StudyKey, *, shadow: bool = False) -> Analysis | None:
    """What the model said about a revision, or None before it spoke."""
    spoken, _ = _tables(shadow)
    columns = rows.columns(spoken, Analysis)
    statement = select(*columns).where(rows.of_revision(spoken, key))
    row = session.execute(statement).one_or_none()
    return None if row is None else Analysis(**row._asdict())


def lesions_of(session: Session, key: StudyKey, *, shadow: bool = False) -> tuple[Lesion, ...]:
    """The lesions of a revision by number."""
    _, table = _tables(shadow)
    statement = select(*rows.columns(table, Lesion)).where(rows.of_revision(table, key))
    found = session.execute(statement.order_by(table.c.number))
    return tuple(Lesion(**row._asdict()) for row in found)


def read_by(
    session: Session, model_sha256: str, *, shadow: bool = False
) -> Iterator[tuple[StudyKey, Analysis]]:
    """Every revision that a model read, the newest first."""
    spoken, _ = _tables(shadow)
    statement = (
        select(spoken.c.study_uid, spoken.c.revision, *rows.columns(spoken, Analysis))
        .where(spoken.c.model_sha256 == model_sha256)
        .order_by(spoken.c.created_at.desc(), spoken.c.study_uid)
    )
    for row in session.execute(statement):
        values = row._asdict()
        key = StudyKey(f"{values.pop('study_uid')}#{values.pop('revision')}")
        yield key, Analysis(**values)


def _tables(shadow: bool) -> tuple[Table, Table]:
    if shadow:
        return tables.shadow_analysis, tables.shadow_lesion
    return tables.analysis, tables.lesion

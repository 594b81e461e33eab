"""What models said of a revision: the one in force, and beside it the one on trial (`shadow`)."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, and_, delete, insert, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from storage import rows, tables
from storage.model_records import ModelVersion
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


def read_by_both(
    session: Session, one: ModelVersion, other: ModelVersion
) -> list[tuple[StudyKey, bool]]:
    """The revisions that one model read in force and the other on trial, the newest first.

    The flag is True where it was the other way round: `other` in force, `one` on trial.
    """
    said, tried = tables.analysis.c, tables.shadow_analysis.c
    found = (
        select(said.study_uid, said.revision, said.model_name, said.model_version)
        .join(
            tables.shadow_analysis,
            and_(said.study_uid == tried.study_uid, said.revision == tried.revision),
        )
        .where(
            or_(
                and_(_is(said, one), _is(tried, other)),
                and_(_is(said, other), _is(tried, one)),
            )
        )
        .order_by(said.created_at.desc(), said.study_uid)
    )
    return [
        (
            StudyKey(f"{row.study_uid}#{row.revision}"),
            (row.model_name, row.model_version) != (one.name, one.version),
        )
        for row in session.execute(found)
    ]


def _is(
    columns: ReadOnlyColumnCollection[str, Column[Any]], version: ModelVersion
) -> ColumnElement[bool]:
    return and_(
        columns.model_name == version.name,
        columns.model_version == version.version,
        columns.model_sha256 == version.sha256,
    )


def _tables(shadow: bool) -> tuple[Table, Table]:
    if shadow:
        return tables.shadow_analysis, tables.shadow_lesion
    return tables.analysis, tables.lesion

"""Counts over all studies, for the status page and its metrics."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, literal_column, select
from sqlalchemy.orm import Session

from storage import rows, tables
from storage.enums import DeliveryState, Outcome, StudyState
from storage.records import INCOMPLETE, Study


@dataclass(frozen=True, kw_only=True)
class DeliveryCount:
    """How many objects are in one state on their way to one destination, and since when."""

    destination: str
    state: DeliveryState
    count: int
    oldest_at: datetime
    newest_at: datetime


@dataclass(frozen=True, kw_only=True)
class Unconfirmed:
    """How many objects a destination has stored and not yet proven to hold, and since when."""

    destination: str
    count: int
    oldest_at: datetime


@dataclass(frozen=True, kw_only=True)
class OutcomeCount:
    """How often one model version said one thing."""

    model_name: str
    model_version: str
    outcome: Outcome
    count: int


@dataclass(frozen=True, kw_only=True)
class Passage:
    """One study that has ended: when, and when its last image had come."""

    last_received_at: datetime
    finished_at: datetime
    state: StudyState


@dataclass(frozen=True, kw_only=True)
class ScannerScore:
    """The score of one study, and the scanner that made it."""

    scanner: str
    score: float
    outcome: Outcome
    at: datetime


def by_state(session: Session) -> dict[StudyState, int]:
    """How many revisions are in each state, none left out."""
    column = tables.study.c.state
    found = session.execute(select(column, func.count()).group_by(column))
    return dict.fromkeys(StudyState, 0) | {row[0]: row[1] for row in found}


def oldest_waiting(session: Session) -> datetime | None:
    """Since when the study that has waited longest for a worker is complete."""
    columns = tables.study.c
    waiting = columns.state == StudyState.COMPLETE
    return session.scalar(
        select(columns.completed_at).where(waiting).order_by(columns.completed_at).limit(1)
    )


def oldest_undelivered(session: Session) -> datetime | None:
    """Since when the oldest study on its way out has waited for its destinations."""
    columns = tables.study.c
    under_way = columns.state.in_((StudyState.COMPOSED, StudyState.DELIVERING))
    return session.scalar(
        select(columns.completed_at).where(under_way).order_by(columns.completed_at).limit(1)
    )


def failed(session: Session, *, limit: int = 100) -> list[Study]:
    """The studies whose newest revision has failed, the latest first."""
    table = tables.study
    statement = select(table).where(table.c.state == StudyState.FAILED, rows.is_newest())
    found = session.execute(statement.order_by(table.c.finished_at.desc()).limit(limit))
    return [Study(**row._asdict()) for row in found]


def incomplete(session: Session) -> int:
    """Studies whose newest revision was read although images were known to be missing."""
    # A literal, as in the index over these few.
    known = tables.study.c.completion_evidence.like(literal_column(f"'%{INCOMPLETE}%'"))
    statement = select(func.count()).select_from(tables.study).where(known, rows.is_newest())
    return session.scalar(statement) or 0


def passages(session: Session, since: datetime) -> list[Passage]:
    """The studies that have ended since then, in the order of their end."""
    columns = tables.study.c
    statement = select(columns.last_received_at, columns.finished_at, columns.state)
    ended = statement.where(columns.finished_at >= since).order_by(columns.finished_at)
    return [Passage(**row._asdict()) for row in session.execute(ended)]


def deliveries(session: Session) -> list[DeliveryCount]:
    """Deliveries of current objects by destination and state. Looks at every one of them."""
    return _deliveries(session)


def failed_deliveries(session: Session) -> list[DeliveryCount]:
    """The same of those alone that have failed."""
    return _deliveries(session, _is(DeliveryState.FAILED))


def _deliveries(session: Session, *conditions: ColumnElement[bool]) -> list[DeliveryCount]:
    table, objects = tables.delivery, tables.result_object
    statement = (
        select(
            table.c.destination,
            table.c.state,
            func.count().label("count"),
            func.min(table.c.updated_at).label("oldest_at"),
            func.max(table.c.updated_at).label("newest_at"),
        )
        .join(objects, objects.c.sop_uid == table.c.sop_uid)
        .where(objects.c.current, *conditions)
        .group_by(table.c.destination, table.c.state)
        .order_by(table.c.destination, table.c.state)
    )
    return [DeliveryCount(**row._asdict()) for row in session.execute(statement)]


def unconfirmed(session: Session) -> list[Unconfirmed]:
    """What destinations have still to prove, of studies that wait for it or gave up."""
    table, objects, study = tables.delivery, tables.result_object, tables.study
    of_study = (study.c.study_uid == objects.c.study_uid) & (study.c.revision == objects.c.revision)
    statement = (
        select(
            table.c.destination,
            func.count().label("count"),
            func.min(table.c.updated_at).label("oldest_at"),
        )
        .join(objects, objects.c.sop_uid == table.c.sop_uid)
        .join(study, of_study)
        .where(objects.c.current, study.c.state.in_((StudyState.DELIVERING, StudyState.FAILED)))
        .where(_is(DeliveryState.STORED), table.c.proof.is_(None))
        .group_by(table.c.destination)
        .order_by(table.c.destination)
    )
    return [Unconfirmed(**row._asdict()) for row in session.execute(statement)]


def outcomes(session: Session) -> list[OutcomeCount]:
    """How analyses ended, by model version."""
    columns = tables.analysis.c
    grouped = (columns.model_name, columns.model_version, columns.outcome)
    statement = select(*grouped, func.count().label("count")).group_by(*grouped).order_by(*grouped)
    return [OutcomeCount(**row._asdict()) for row in session.execute(statement)]


def scanner_scores(session: Session, since: datetime) -> list[ScannerScore]:
    """Study scores since then, scanner by scanner, in the order of time."""
    columns = tables.analysis.c
    statement = (
        select(
            columns.scanner,
            columns.study_score.label("score"),
            columns.outcome,
            columns.created_at.label("at"),
        )
        .where(columns.created_at >= since)
        .where(columns.scanner.is_not(None), columns.study_score.is_not(None))
        .order_by(columns.scanner, columns.created_at)
    )
    return [ScannerScore(**row._asdict()) for row in session.execute(statement)]


def untried_shadows(session: Session, *, since: datetime, until: datetime) -> tuple[int, int]:
    """How many analysed studies ended in that time, and how many the shadow missed."""
    study, shown, shadow = tables.study, tables.analysis, tables.shadow_analysis
    statement = (
        select(func.count(), func.count(shadow.c.study_uid))
        .select_from(study)
        .join(
            shown,
            (shown.c.study_uid == study.c.study_uid) & (shown.c.revision == study.c.revision),
        )
        .outerjoin(
            shadow,
            (shadow.c.study_uid == study.c.study_uid) & (shadow.c.revision == study.c.revision),
        )
        .where(study.c.finished_at >= since, study.c.finished_at <= until)
    )
    total, tried = session.execute(statement).one()
    return total, total - tried


def _is(state: DeliveryState) -> ColumnElement[bool]:
    """The condition with a literal, as in the indexes over the few deliveries of that kind."""
    return tables.delivery.c.state == literal_column(f"'{state}'")

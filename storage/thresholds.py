"""Thresholds that were made for a model version, each kept for good."""

from dataclasses import asdict, replace

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from storage import registry, tables
from storage.errors import NotFound
from storage.model_records import ThresholdSet


def add(session: Session, made: ThresholdSet) -> ThresholdSet:
    """Keep thresholds; they come back with their number."""
    registry.lock(session)
    registry.get(session, made.model_name, made.model_version)  # says so where there is none
    table = tables.threshold_set
    last = session.scalar(select(func.max(table.c.number))) or 0
    kept = replace(made, number=last + 1)
    session.execute(insert(table).values(asdict(kept)))
    return kept


def get(session: Session, number: int) -> ThresholdSet:
    """The thresholds of that number."""
    table = tables.threshold_set
    row = session.execute(select(table).where(table.c.number == number)).one_or_none()
    if row is None:
        raise NotFound(f"There are no thresholds of number {number}.")
    return ThresholdSet(**row._asdict())


def history(session: Session, name: str, version: str) -> list[ThresholdSet]:
    """Everything that was made for a model version, the newest first."""
    table = tables.threshold_set
    of_model = (table.c.model_name == name, table.c.model_version == version)
    statement = select(table).where(*of_model).order_by(table.c.number.desc())
    return [ThresholdSet(**row._asdict()) for row in session.execute(statement)]


def latest(session: Session, name: str, version: str) -> ThresholdSet | None:
    """The newest thresholds made for a model version; None where its own hold."""
    made = history(session, name, version)
    return made[0] if made else None

"""What reads studies, and since when: a model and its thresholds move together, and back together.

Each change is a row; the newest is in force. `previous` chains each row to the one that a rollback
restores, so that rolling back twice goes back twice.
"""

from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from storage import registry, tables, thresholds
from storage.enums import Change
from storage.errors import Conflict
from storage.model_records import Activation, ModelVersion, ThresholdSet


def in_force(session: Session) -> Activation | None:
    """What reads studies now; None before anything was activated."""
    newest = history(session, limit=1)
    return newest[0] if newest else None


def history(session: Session, *, limit: int = 1000) -> list[Activation]:
    """Every change, the newest first."""
    table = tables.activation
    statement = select(table).order_by(table.c.number.desc()).limit(limit)
    return [Activation(**row._asdict()) for row in session.execute(statement)]


def activate(
    session: Session, version: ModelVersion, *, by: str, why: str, now: datetime
) -> Activation:
    """Let a model read studies, with the newest thresholds made for it, or its own."""
    registry.lock(session)
    chosen = thresholds.latest(session, version.name, version.version)
    number = chosen.number if chosen else None
    before = in_force(session)
    if before and (before.label, before.thresholds) == (version.label, number):
        raise Conflict(f"Model {version.label} is active already.")
    return _add(
        session,
        change=Change.ACTIVATED,
        model_name=version.name,
        model_version=version.version,
        thresholds=number,
        previous=before.number if before else None,
        at=now,
        by=by,
        why=why,
    )


def use_thresholds(session: Session, kept: ThresholdSet) -> Activation | None:
    """Put kept thresholds in force, if their model is; else they wait until it is activated."""
    registry.lock(session)
    before = in_force(session)
    if before is None or (before.model_name, before.model_version) != (
        kept.model_name,
        kept.model_version,
    ):
        return None
    return _add(
        session,
        change=Change.THRESHOLDS,
        model_name=kept.model_name,
        model_version=kept.model_version,
        thresholds=kept.number,
        previous=before.number,
        at=kept.made_at,
        by=kept.made_by,
        why=kept.why,
    )


def rollback(session: Session, *, by: str, why: str, now: datetime) -> Activation:
    """Put in force what was so before the last change that stands, model and thresholds alike.

    Conflict where nothing was in force before.
    """
    registry.lock(session)
    current = in_force(session)
    if current is None or current.previous is None:
        raise Conflict("There is nothing to go back to: nothing else was ever active here.")
    table = tables.activation
    row = session.execute(select(table).where(table.c.number == current.previous)).one()
    before = Activation(**row._asdict())
    return _add(
        session,
        change=Change.ROLLED_BACK,
        model_name=before.model_name,
        model_version=before.model_version,
        thresholds=before.thresholds,
        previous=before.previous,
        at=now,
        by=by,
        why=why,
    )


def _add(session: Session, **values: object) -> Activation:
    newest = in_force(session)
    number = newest.number + 1 if newest else 1
    session.execute(insert(tables.activation).values(number=number, **values))
    table = tables.activation
    row = session.execute(select(table).where(table.c.number == number)).one()
    return Activation(**row._asdict())

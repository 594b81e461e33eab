"""Trainings that were asked for, and how far they have come."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from storage import tables
from storage.enums import TrainingState
from storage.errors import Conflict, NotFound
from storage.model_records import TrainingRun

ENDED = frozenset({TrainingState.REGISTERED, TrainingState.FAILED, TrainingState.CANCELLED})


def add(session: Session, run: TrainingRun) -> None:
    """Keep a new training. Conflict when one of that name is here."""
    table = tables.training_run
    if session.scalar(select(table.c.name).where(table.c.name == run.name)) is not None:
        raise Conflict(f"There is a training {run.name} already.")
    session.execute(insert(table).values(asdict(run)))


def get(session: Session, name: str) -> TrainingRun:
    """The training of that name."""
    table = tables.training_run
    row = session.execute(select(table).where(table.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"There is no training {name}.")
    return TrainingRun(**row._asdict())


def list_runs(session: Session, *, limit: int = 100) -> list[TrainingRun]:
    """Trainings, the newest first."""
    table = tables.training_run
    statement = select(table).order_by(table.c.asked_at.desc(), table.c.name.desc()).limit(limit)
    return [TrainingRun(**row._asdict()) for row in session.execute(statement)]


def progress(session: Session, name: str, *, share: float, stage: str) -> TrainingRun:
    """Note how far a training has come. Conflict when it has ended, as by a cancellation."""
    return _change(session, name, state=TrainingState.RUNNING, progress=share, stage=stage)


def finish(
    session: Session,
    name: str,
    state: TrainingState,
    *,
    now: datetime,
    error: str | None = None,
    candidate_version: str | None = None,
) -> TrainingRun:
    """End a training. Conflict when it has ended another way."""
    return _change(
        session,
        name,
        state=state,
        finished_at=now,
        error=error,
        candidate_version=candidate_version,
    )


def _change(session: Session, name: str, **values: object) -> TrainingRun:
    before = get(session, name)
    if before.state in ENDED:
        if before.state is values["state"]:
            return before
        raise Conflict(f"Training {name} is {before.state} and cannot change any more.")
    table = tables.training_run
    session.execute(update(table).where(table.c.name == name).values(**values))
    return get(session, name)

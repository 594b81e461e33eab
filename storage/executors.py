"""Which executors live, on PostgreSQL: a row each that its process renews, and how often a dead
one's run was taken over. The database's clock alone judges, so hosts may disagree about the time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from storage import rows, tables

WORKER = "worker-"  # begins the name of every executor that analyses studies
REAPER_LOCK = 0x6E757265  # any number, the same in every process


@dataclass(frozen=True, kw_only=True)
class Lease:
    """What an executor says of itself; `place` names the folder whose lock keeps others out."""

    executor_id: str
    owner: str  # of one process
    place: str
    seconds: float


class Beat(StrEnum):
    """How a renewal found the row."""

    STEADY = "STEADY"
    LAPSED = "LAPSED"  # it was ours, or nobody's, and had run out: others may have taken the work
    LOST = "LOST"  # another process holds it


def claim(session: Session, lease: Lease) -> bool:
    """Take the executor's name; False while a process of another place holds it.

    One of the same place is dead: the lock there is ours.
    """
    row = _row(session, lease)
    if row.owner != lease.owner and row.alive and row.place != lease.place:
        return False
    _renew(session, lease)
    return True


def beat(session: Session, lease: Lease) -> Beat:
    """Say that the executor lives for `lease.seconds` more."""
    row = _row(session, lease)
    if row.owner != lease.owner and row.alive:
        return Beat.LOST
    _renew(session, lease)
    return Beat.STEADY if row.owner == lease.owner and row.alive else Beat.LAPSED


def release(session: Session, lease: Lease) -> None:
    """End in order: whoever comes next need not wait."""
    table = tables.executor
    session.execute(
        delete(table).where(table.c.executor_id == lease.executor_id, table.c.owner == lease.owner)
    )


def living(session: Session) -> frozenset[str]:
    """The executors whose lease has not run out."""
    table = tables.executor
    return frozenset(session.scalars(select(table.c.executor_id).where(_is_alive())))


def workers(session: Session) -> frozenset[str]:
    """The slots whose workers live, on any host; none on SQLite, where nobody takes a lease."""
    if session.get_bind().dialect.name != "postgresql":
        return frozenset()
    names = living(session)
    return frozenset(name.removeprefix(WORKER) for name in names if name.startswith(WORKER))


def forget_dead(session: Session) -> None:
    """Drop the rows that have run out. Call it when nothing of theirs is left to take over."""
    session.execute(delete(tables.executor).where(~_is_alive()))


def try_reaping(session: Session) -> bool:
    """Become the one that takes over until the transaction ends; False where another is."""
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(REAPER_LOCK))))


def count_takeover(session: Session, run_id: str) -> int:
    """Note one more takeover of a run; how many there were."""
    table = tables.takeover
    rows.insert_missing(session, table, [{"run_id": run_id, "count": 0}])
    one_more = update(table).where(table.c.run_id == run_id).values(count=table.c.count + 1)
    return int(session.execute(one_more.returning(table.c.count)).scalar_one())


def forget_takeovers(session: Session, run_ids: Sequence[str]) -> None:
    """Drop what was noted of runs that have ended."""
    table = tables.takeover
    for chunk in rows.chunks(run_ids):
        session.execute(delete(table).where(table.c.run_id.in_(chunk)))


def _row(session: Session, lease: Lease) -> Any:
    """The executor's row, made where there is none, locked until the transaction ends."""
    table = tables.executor
    fresh = postgresql.insert(table).values(
        executor_id=lease.executor_id, owner="", place="", alive_until=func.clock_timestamp()
    )
    session.execute(fresh.on_conflict_do_nothing())
    found = select(table.c.owner, table.c.place, _is_alive().label("alive")).where(
        table.c.executor_id == lease.executor_id
    )
    return session.execute(found.with_for_update()).one()


def _renew(session: Session, lease: Lease) -> None:
    table = tables.executor
    session.execute(
        update(table)
        .where(table.c.executor_id == lease.executor_id)
        .values(
            owner=lease.owner,
            place=lease.place,
            alive_until=func.clock_timestamp() + timedelta(seconds=lease.seconds),
        )
    )


def _is_alive() -> ColumnElement[bool]:
    return tables.executor.c.alive_until > func.clock_timestamp()

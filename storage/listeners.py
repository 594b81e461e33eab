"""Listeners of one PostgreSQL, a row each that its process renews: who lives, and takes what.

The database's clock alone judges, so hosts may disagree about the time.
"""

from collections.abc import Set as AbstractSet
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from storage import tables
from storage.records import StudyUid

_table = tables.listener


def renew(
    session: Session, name: str, *, place: str, open_studies: AbstractSet[StudyUid], seconds: float
) -> None:
    """Say that a listener lives for so much longer, and which studies may grow at it."""
    values = {
        "place": place,
        "open_studies": frozenset(open_studies),
        "alive_until": func.clock_timestamp() + timedelta(seconds=seconds),
    }
    row = postgresql.insert(_table).values(name=name, **values)
    session.execute(row.on_conflict_do_update(index_elements=[_table.c.name], set_=values))


def open_at_others(session: Session, name: str) -> frozenset[StudyUid]:
    """The studies that may grow at any other listener.

    Those of a dead one count until its row is dropped: its images may still lack their rows.
    """
    found = session.scalars(select(_table.c.open_studies).where(_table.c.name != name))
    return frozenset[StudyUid]().union(*found)


def dead(session: Session) -> dict[str, frozenset[StudyUid]]:
    """The listeners whose lease has run out, with the studies that grew at each."""
    found = session.execute(select(_table.c.name, _table.c.open_studies).where(~_is_alive()))
    return {name: frozenset(open_studies) for name, open_studies in found}


def leave(session: Session, name: str) -> None:
    """Drop a row: the listener has ended in order."""
    session.execute(delete(_table).where(_table.c.name == name))


def bury(session: Session, name: str) -> None:
    """Drop a row unless its listener has come back meanwhile."""
    session.execute(delete(_table).where(_table.c.name == name, ~_is_alive()))


def _is_alive() -> ColumnElement[bool]:
    return _table.c.alive_until > func.clock_timestamp()

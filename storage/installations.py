"""The identity under which UIDs are made: one row, written once, the same for all hosts."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage import rows, tables

_table = tables.installation


def identity(session: Session) -> str | None:
    """The identity, None where there is none yet."""
    found: str | None = session.scalar(select(_table.c.identity))
    return found


def keep(session: Session, candidate: str) -> str:
    """The identity; the candidate becomes it where there is none."""
    rows.insert_missing(session, _table, [{"number": 1, "identity": candidate}])
    return str(session.scalar(select(_table.c.identity)))

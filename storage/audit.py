"""Who did what to which thing: only ever added to, and each event seals the one before.

The seal is a SHA-256 over the event and the seal of its predecessor: whoever changes, removes or
inserts an event breaks every seal after it. Cutting off the end cannot be seen from the table
alone; keep the newest seal somewhere else to see that too. The database refuses both by a trigger,
which stops mistakes; the seals show what an administrator of the database did.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Row, insert, select, text
from sqlalchemy.orm import Session

from storage import tables
from storage.columns import plain
from storage.errors import Conflict
from storage.records import AuditEvent

FIRST_SEAL = "0" * 64


def append(
    session: Session, *, who: str, action: str, subject: str, detail: str = "", now: datetime
) -> None:
    """Note in the caller's transaction what somebody did."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE audit_event IN EXCLUSIVE MODE"))
    table = tables.audit_event
    last = session.execute(select(table).order_by(table.c.number.desc()).limit(1)).one_or_none()
    values = {
        "number": last.number + 1 if last else 1,
        "at": now.astimezone(UTC).isoformat(),
        # As the columns keep it, so that the seal is over what is read back.
        "who": plain(who),
        "action": action,
        "subject": plain(subject),
        "detail": plain(detail),
        "previous_sha256": last.sha256 if last else FIRST_SEAL,
    }
    session.execute(insert(table).values(**values, sha256=_seal(values)))


def events(session: Session, *, limit: int = 100) -> list[AuditEvent]:
    """What was done, the newest first."""
    table = tables.audit_event
    found = session.execute(select(table).order_by(table.c.number.desc()).limit(limit))
    return [_event(row) for row in found]


def newest(session: Session, action: str) -> dict[str, datetime]:
    """When an action was last done to each of its subjects."""
    table = tables.audit_event
    statement = select(table.c.subject, table.c.at).where(table.c.action == action)
    found = session.execute(statement.order_by(table.c.number))
    return {row.subject: datetime.fromisoformat(row.at) for row in found}


def since(session: Session, moment: datetime | None = None) -> Iterator[AuditEvent]:
    """What was done from a moment on, or ever, the oldest first."""
    table = tables.audit_event
    statement = select(table).order_by(table.c.number)
    if moment is not None:
        # ISO 8601 in UTC: the order of the texts is that of the moments.
        statement = statement.where(table.c.at >= moment.astimezone(UTC).isoformat())
    for row in session.execute(statement):
        yield _event(row)


def verify(session: Session, *, newest: str | None = None) -> int:
    """Check every seal; returns how many events there are. Conflict names the first broken one.

    `newest` is a seal that was kept elsewhere: where none of the events bears it, the end was cut
    off, which the chain alone cannot show.
    """
    number, seal, found = 0, FIRST_SEAL, newest in (None, FIRST_SEAL)
    for row in _in_order(session):
        values = row._asdict()
        told = values.pop("sha256")
        if values["number"] != number + 1 or values["previous_sha256"] != seal:
            raise Conflict(f"The audit was changed: an event is missing before {row.number}.")
        if _seal(values) != told:
            raise Conflict(f"The audit was changed: event {row.number} is not as it was written.")
        number, seal, found = row.number, told, found or told == newest
    if not found:
        raise Conflict(
            f"The audit was cut off: none of its {number} events bears the seal {newest}."
        )
    return number


def _in_order(session: Session) -> Iterator[Row[tuple[object, ...]]]:
    table = tables.audit_event
    yield from session.execute(select(table).order_by(table.c.number))


def _seal(values: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _event(row: Row[tuple[object, ...]]) -> AuditEvent:
    values = row._asdict()
    return AuditEvent(**values | {"at": datetime.fromisoformat(values["at"])})

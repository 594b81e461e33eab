"""The audit: what was done stays as it was written, or the seals say where it was not."""

import pytest
from sqlalchemy import text

import together
from received import NOW
from storage import audit
from storage.database import Database
from storage.errors import Conflict


def append(database: Database, action: str = "model activated") -> None:
    with database.begin() as session:
        audit.append(
            session, who="ada", action=action, subject="m@1", detail="zu viele ⚠\0", now=NOW
        )


def verify(database: Database) -> int:
    with database.read() as session:
        return audit.verify(session)


def test_events_are_kept_in_order_and_every_seal_holds(database: Database) -> None:
    for action in ("one", "two", "three"):
        append(database, action)
    with database.read() as session:
        found = audit.events(session)
    assert [one.action for one in found] == ["three", "two", "one"]
    assert found[0].previous_sha256 == found[1].sha256
    assert found[0].at == NOW
    assert verify(database) == 3


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_event SET who = 'bob' WHERE number = 2",
        "UPDATE audit_event SET at = '2020-01-01T00:00:00+00:00' WHERE number = 2",
        "DELETE FROM audit_event WHERE number = 2",
        "UPDATE audit_event SET number = 9 WHERE number = 3",
    ],
)
def test_a_change_afterwards_is_seen(database: Database, change: str) -> None:
    for _ in range(3):
        append(database)
    with database.engine.begin() as connection:
        connection.execute(text(change))
    with pytest.raises(Conflict, match="audit was changed"):
        verify(database)


def test_events_at_once_make_one_chain(database: Database) -> None:
    together.run(threads=[(append, (database,)) for _ in range(8)])
    assert verify(database) == 8

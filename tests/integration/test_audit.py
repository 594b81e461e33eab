"""The audit: what was done stays as it was written, or the seals say where it was not."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

import together
from received import NOW
from storage import audit
from storage.database import Database
from storage.errors import Conflict, StorageError


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


def lift_the_guard(connection: Connection) -> None:
    """What an administrator of the database can do, for this transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        return
    for name in ("is_not_changed", "is_kept"):
        connection.execute(text(f"DROP TRIGGER IF EXISTS audit_event_{name}"))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_event SET who = 'bob'",
        "DELETE FROM audit_event",
        pytest.param("TRUNCATE audit_event", marks=pytest.mark.postgres),
    ],
)
def test_the_database_refuses_to_change_or_remove_an_event(database: Database, change: str) -> None:
    if change.startswith("TRUNCATE") and database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite knows no TRUNCATE")
    append(database)

    with pytest.raises(StorageError, match="only ever added to"), database.begin() as session:
        session.execute(text(change))

    assert verify(database) == 1


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
        lift_the_guard(connection)
        connection.execute(text(change))
    with pytest.raises(Conflict, match="audit was changed"):
        verify(database)


def test_an_end_that_was_cut_off_is_seen_by_a_seal_kept_elsewhere(database: Database) -> None:
    for _ in range(3):
        append(database)
    with database.read() as session:
        newest, before, _ = audit.events(session)
    with database.engine.begin() as connection:
        lift_the_guard(connection)
        connection.execute(text("DELETE FROM audit_event WHERE number = 3"))
    with database.read() as session:
        assert audit.verify(session) == 2  # the chain alone cannot know
        assert audit.verify(session, newest=before.sha256) == 2
        with pytest.raises(Conflict, match="cut off"):
            audit.verify(session, newest=newest.sha256)


def test_events_are_given_from_a_moment_on(database: Database) -> None:
    with database.begin() as session:
        for minutes in range(3):
            moment = NOW + timedelta(minutes=minutes, microseconds=minutes)
            audit.append(session, who="ada", action=str(minutes), subject="", now=moment)
    with database.read() as session:
        assert [one.action for one in audit.since(session)] == ["0", "1", "2"]
        later = audit.since(session, NOW + timedelta(minutes=1))
        assert [one.action for one in later] == ["1", "2"]


def test_events_at_once_make_one_chain(database: Database) -> None:
    together.run(threads=[(append, (database,)) for _ in range(8)])
    assert verify(database) == 8

"""Opening a database, its transactions, and many writers at once."""

import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dbos import DBOSClient, EnqueueOptions, run_dbos_database_migrations
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.orm import Session

import together
from storage import tables
from storage.database import Database, open_database
from storage.errors import Conflict, StorageError

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WRITES = 25


class BrokenOff(Exception):
    """Ends a transaction in the middle."""


def model_row(name: str) -> dict[str, object]:
    return {
        "name": name,
        "version": "1",
        "sha256": "0" * 64,
        "folder": "0",
        "origin": "SHIPPED",
        "sequence": "FLAIR",
        "registered_at": NOW,
    }


def names_in(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(tables.model_version.c.name)))


def insert_and_break_off(
    database: Database, and_then: Callable[[Session], object] = lambda _session: None
) -> None:
    with database.begin() as session:
        session.execute(insert(tables.model_version).values(model_row("undone")))
        and_then(session)
        raise BrokenOff


def read_then_write(url: str, times: int) -> None:
    """Counts in a row: first a read, then a write that depends on it, in one transaction."""
    database = open_database(url)
    column = tables.model_version.c.folder
    for _ in range(times):
        with database.begin() as session:
            value = session.scalar(select(column).with_for_update())
            session.execute(update(tables.model_version).values(folder=str(int(value or 0) + 1)))
    database.close()


def test_a_transaction_is_kept_when_its_block_ends(database: Database) -> None:
    with database.begin() as session:
        session.execute(insert(tables.model_version).values(model_row("kept")))
    assert names_in(database) == ["kept"]


def test_an_error_in_the_block_undoes_the_transaction(database: Database) -> None:
    with pytest.raises(BrokenOff):
        insert_and_break_off(database)
    assert names_in(database) == []


def test_reading_refuses_to_write_and_writing_works_afterwards(database: Database) -> None:
    with pytest.raises(StorageError), database.read() as session:
        session.execute(insert(tables.model_version).values(model_row("refused")))
    with database.begin() as session:  # the same pooled connection
        session.execute(insert(tables.model_version).values(model_row("written")))
    assert names_in(database) == ["written"]


def test_a_reader_sees_the_committed_rows_while_a_writer_works(database: Database) -> None:
    with database.begin() as session:
        session.execute(insert(tables.model_version).values(model_row("pending")))
        assert names_in(database) == []


def test_times_come_back_in_utc_and_equal(database: Database) -> None:
    elsewhere = datetime.fromisoformat("2026-11-22T14:00:00.123456+02:00")
    with database.begin() as session:
        row = model_row("timed") | {"registered_at": elsewhere}
        session.execute(insert(tables.model_version).values(row))
        kept = session.scalar(select(tables.model_version.c.registered_at))
    assert kept is not None
    assert kept == elsewhere
    assert kept.tzinfo is UTC


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    row = model_row("naive") | {"registered_at": NOW.replace(tzinfo=None)}
    with pytest.raises(Exception, match="no time zone"), database.begin() as session:
        session.execute(insert(tables.model_version).values(row))


def test_many_threads_and_another_process_write_without_losing_or_refusing_a_write(
    database: Database, database_url: str
) -> None:
    """Each reads before it writes; a lock taken only at the write fails with 'database is locked'
    on SQLite, and a lost lock shows as a count that is too low."""
    with database.begin() as session:
        session.execute(insert(tables.model_version).values(model_row("counter")))
    one = (read_then_write, (database_url, WRITES))
    together.run(threads=[one] * 4, processes=[one])
    with database.read() as session:
        assert session.scalar(select(tables.model_version.c.folder)) == str(5 * WRITES)


def test_sqlite_keeps_every_commit_through_power_loss_and_waits_for_others(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'new.db'}")
    with database.engine.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    database.close()
    full = 2
    assert pragma["journal_mode"] == "wal"
    assert pragma["synchronous"] == full
    assert pragma["foreign_keys"] == 1
    assert pragma["busy_timeout"] >= 30_000


def test_opening_a_new_file_waits_for_a_writer_that_was_there_before(tmp_path: Path) -> None:
    """The engine creates the file in the older journal mode; the switch fails while it writes."""
    file = tmp_path / "new.db"
    writer = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    writer.execute("CREATE TABLE theirs (x)")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO theirs VALUES (1)")
    end = threading.Timer(0.3, writer.execute, ["COMMIT"])
    end.start()
    database = open_database(f"sqlite:///{file}")
    database.migrate()
    end.join()
    writer.close()
    database.close()


def test_a_study_and_its_work_are_one_transaction(database: Database, database_url: str) -> None:
    """DBOS enqueues through our session: a rollback takes both back, a commit keeps both."""
    run_dbos_database_migrations(system_database_url=database_url)
    client = DBOSClient(system_database_url=database_url)
    options: EnqueueOptions = {
        "workflow_name": "analyse",
        "queue_name": "gpu",
        "workflow_id": "1.2#1",
    }

    def work_and_row() -> tuple[int, list[str]]:
        return len(client.list_workflows()), names_in(database)

    try:
        with pytest.raises(BrokenOff):
            insert_and_break_off(
                database, lambda s: client.enqueue_in_transaction(s, options, "1.2#1")
            )
        assert work_and_row() == (0, [])
        with database.begin() as session:
            session.execute(insert(tables.model_version).values(model_row("one")))
            client.enqueue_in_transaction(session, options, "1.2#1")
            # Our own statements still find our tables afterwards.
            assert session.scalar(select(func.count()).select_from(tables.model_version)) == 1
        assert work_and_row() == (1, ["one"])
    finally:
        client.destroy()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "mysql://h/x",
        "not a url",
    ],
)
def test_a_database_that_cannot_keep_anything_is_refused(url: str) -> None:
    with pytest.raises(StorageError):
        open_database(url)


def test_check_passes_on_a_database_that_answers(database: Database) -> None:
    database.check()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////nowhere/at/all.db",
        "postgresql+psycopg://someone:secret@127.0.0.1:1/nothing",
    ],
)
def test_check_says_in_a_sentence_that_a_database_does_not_answer(url: str) -> None:
    database = open_database(url)
    with pytest.raises(StorageError, match="cannot be used") as caught:
        database.check()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    database.close()


def test_a_database_without_our_tables_is_named_as_such(empty_database_url: str) -> None:
    database = open_database(empty_database_url)
    with pytest.raises(StorageError, match="migrated"):
        names_in(database)
    database.close()


def test_error_messages_hold_no_values(database: Database) -> None:
    """Identifiers of studies must not reach a log by way of a database error."""
    row = insert(tables.model_version).values(model_row("9.8.7.6"))
    with database.begin() as session:
        session.execute(row)
    with pytest.raises(Conflict) as caught, database.begin() as session:
        session.execute(row)
    assert "9.8.7.6" not in str(caught.value)
    assert "[parameters" not in str(caught.value.__cause__)


@pytest.mark.postgres
def test_a_connection_that_the_server_dropped_is_replaced(
    fresh_postgres_url: str, postgres_url: str
) -> None:
    database, administration = open_database(fresh_postgres_url), open_database(postgres_url)
    with database.read() as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
    with administration.begin() as session:
        assert session.scalar(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    database.check()
    administration.close()
    database.close()

"""The migrated schema is the declared one, on both databases, beside the engine's own tables."""

import sqlite3
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from dbos import run_dbos_database_migrations
from sqlalchemy import inspect, text

import together
from storage import results, tables
from storage.database import Database, open_database
from storage.enums import Proof
from storage.errors import StorageError
from storage.migrations import scope
from storage.records import StudyKey

# What version 0.1 wrote of one lesion: all columns of its tables that must not be empty.
FIRST_ROWS = (
    "INSERT INTO study (study_uid, revision, state, priority, attempt, source_ae, instance_count,"
    " first_received_at, last_received_at)"
    " VALUES ('1.2', 1, 'DELIVERED', 'ROUTINE', 1, 'PACS', 24,"
    " '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
    "INSERT INTO analysis (study_uid, revision, outcome, study_score, slice_scores,"
    " slice_p_values, model_name, model_version, model_sha256, threshold_version, input_sha256,"
    " runtime, code_version, created_at)"
    " VALUES ('1.2', 1, 'ABNORMAL', 2.5, '[2.5]', '[0.1]', 'm', '1', 'a', 't', 'b', 'r', 'c',"
    " '2026-01-01 00:00:00')",
    "INSERT INTO lesion (study_uid, revision, number, tracking_uid, volume_ml, diameter_mm,"
    " centroid_mm, peak_score, mean_score, slice_index)"
    " VALUES ('1.2', 1, 1, '2.25.1', 12.5, 30.0, '[1.0, 2.0, 3.0]', 3.0, 2.0, 11)",
)

# What version 0.4 wrote of one result that its destination had stored.
SENT_ROWS = (
    "INSERT INTO study (study_uid, revision, state, priority, attempt, source_ae, instance_count,"
    " first_received_at, last_received_at)"
    " VALUES (:uid, 1, :state, 'ROUTINE', 1, 'PACS', 24,"
    " '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
    "INSERT INTO result_object (sop_uid, study_uid, revision, current, position, sop_class_uid,"
    " series_uid, role, transfer_syntax_uid, path, sha256, size_bytes)"
    " VALUES (:uid || '.9', :uid, 1, true, 0, '1.1', '1.4', 'REPORT', '1.5', 'p', 's', 1)",
    "INSERT INTO delivery (sop_uid, destination, state, attempts, status, updated_at)"
    " VALUES (:uid || '.9', 'pacs', 'STORED', 1, 0, '2026-01-01 00:00:00')",
)


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Database]:
    opened = open_database(empty_database_url)
    yield opened
    opened.close()


@pytest.fixture
def migrated(empty: Database) -> Database:
    """A database of its own, whose schema a test may change."""
    empty.migrate()
    return empty


def differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=scope.options())
        return list(compare_metadata(context, tables.metadata))


def our_tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names()) & set(tables.metadata.tables)


def migrate_at_the_same_moment(url: str, moment: Barrier) -> None:
    opened = open_database(url)
    moment.wait()
    opened.migrate()
    opened.close()


def test_the_migrated_schema_is_the_declared_one(database: Database) -> None:
    assert differences(database) == []


def test_the_comparison_sees_a_missing_column_and_a_missing_index(migrated: Database) -> None:
    """Guards the test above: an include filter that hides everything would pass it."""
    with migrated.engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_instance_path"))
        connection.execute(text("ALTER TABLE lesion DROP COLUMN mean_score"))
    found = str(differences(migrated))
    assert "ix_instance_path" in found
    assert "mean_score" in found


def test_migrating_again_changes_nothing(database: Database) -> None:
    database.migrate()
    assert differences(database) == []


def test_the_version_is_kept_in_our_own_table(database: Database) -> None:
    names = inspect(database.engine).get_table_names()
    assert scope.VERSION_TABLE in names
    assert "alembic_version" not in names


def test_the_engines_tables_are_neither_compared_nor_touched(
    empty: Database, empty_database_url: str
) -> None:
    run_dbos_database_migrations(system_database_url=empty_database_url)
    schema = "dbos" if empty.engine.dialect.name == "postgresql" else None
    before = set(inspect(empty.engine).get_table_names(schema=schema))
    assert "workflow_status" in before
    empty.migrate()
    assert differences(empty) == []
    assert before <= set(inspect(empty.engine).get_table_names(schema=schema))


def test_processes_and_threads_may_migrate_an_empty_database_at_once(
    empty: Database, empty_database_url: str
) -> None:
    for_each = (empty_database_url, together.moment(of=5))
    together.run(
        threads=[(migrate_at_the_same_moment, for_each)] * 3,
        processes=[(migrate_at_the_same_moment, for_each)] * 2,
    )
    assert differences(empty) == []


def test_a_migration_that_breaks_off_leaves_nothing_behind(
    empty: Database, empty_database_url: str
) -> None:
    """The whole upgrade is one transaction, on SQLite too."""
    with empty.engine.begin() as connection:
        connection.execute(text("CREATE TABLE model_version (obstacle INTEGER)"))
    with pytest.raises(StorageError):
        empty.migrate()
    assert our_tables(empty) == {"model_version"}


def test_going_back_leaves_an_empty_database(migrated: Database) -> None:
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    with migrated.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert our_tables(migrated) == set()


def test_what_was_analysed_before_lesions_were_told_apart_can_still_be_read(
    empty: Database,
) -> None:
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    with empty.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in FIRST_ROWS:
            connection.execute(text(statement))
    empty.migrate()
    with empty.read() as session:
        analysis = results.analysis_of(session, StudyKey("1.2#1"))
        (lesion,) = results.lesions_of(session, StudyKey("1.2#1"))
    assert analysis is not None
    assert (analysis.study_score, analysis.pattern, analysis.symmetry) == (2.5, None, None)
    assert (lesion.volume_ml, lesion.mass_like, lesion.asymmetry) == (12.5, None, None)


def test_what_was_stored_in_studies_that_have_ended_needs_no_proof(empty: Database) -> None:
    """And what is on its way is confirmed by the new version."""
    with empty.engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "storage:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        for uid, state in (("1.2", "DELIVERED"), ("1.3", "DELIVERING")):
            for statement in SENT_ROWS:
                connection.execute(text(statement), {"uid": uid, "state": state})
    empty.migrate()
    with empty.read() as session:
        done = [results.deliveries_of(session, StudyKey(f"{uid}#1"))[0] for uid in ("1.2", "1.3")]
    assert [one.proof for one in done] == [Proof.NONE, None]
    assert [one.is_done for one in done] == [True, False]


def test_a_newer_schema_is_refused_with_a_sentence(migrated: Database) -> None:
    with migrated.engine.begin() as connection:
        connection.execute(text(f"UPDATE {scope.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StorageError, match="newer NeuroSieve"):
        migrated.migrate()


def test_every_foreign_key_is_enforced_on_sqlite(sqlite_template: Path, tmp_path: Path) -> None:
    """SQLite enforces none unless each connection asks for it."""
    copy = tmp_path / "copy.db"
    copy.write_bytes(sqlite_template.read_bytes())
    database = open_database(f"sqlite:///{copy}")
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    database.close()
    assert sqlite3.connect(copy).execute("PRAGMA foreign_key_check").fetchall() == []

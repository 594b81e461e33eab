"""Opens the database, SQLite or PostgreSQL, and gives out its transactions."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from sqlite3 import Connection as SqliteConnection
from sqlite3 import OperationalError as SqliteError
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from storage import migrations
from storage.errors import Conflict, DatabaseAway, StorageError
from storage.migrations import scope

BUSY_TIMEOUT_SECONDS = 60.0  # how long a SQLite writer waits for the one before it
CONNECT_TIMEOUT_SECONDS = 10  # PostgreSQL
SILENCE_SECONDS = 20  # PostgreSQL: a server that acknowledges nothing for so long is gone
MIGRATION_LOCK = 0x6E657572  # any number, the same in every process


class Database:
    """One database: its engine, its schema and its transactions. `url` may hold a password."""

    def __init__(self, url: URL, engine: Engine) -> None:
        self.url = url.render_as_string(hide_password=False)
        self.engine = engine
        self._reading = engine.execution_options(
            read_only=True, postgresql_readonly=engine.dialect.name == "postgresql"
        )

    def __repr__(self) -> str:
        return f"Database({self.engine.url.render_as_string(hide_password=True)})"

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A transaction that is committed at the end of the block and rolled back on an error."""
        with self.named_errors(), Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction in which the database refuses every change."""
        with self.named_errors(), Session(self._reading) as session, session.begin():
            yield session

    def migrate(self) -> None:
        """Bring the schema up to date. Several processes may do so at once: one works, all wait."""
        if self._is_current():  # almost always, and Alembic takes its time
            return
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", "storage:migrations")
        with self.named_errors(), self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":  # SQLite: BEGIN IMMEDIATE holds the lock
                connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise StorageError(
                    f"{self!r} was made by another, newer NeuroSieve ({error}); install that "
                    "version or restore a backup from before it."
                ) from error

    def _is_current(self) -> bool:
        with self.read() as session:
            connection = session.connection()
            if not inspect(connection).has_table(scope.VERSION_TABLE):
                return False
            versions = text(f"SELECT version_num FROM {scope.VERSION_TABLE}")
            return connection.execute(versions).scalars().all() == [migrations.newest()]

    def add_index(
        self, name: str, table: str, columns: Sequence[str], *, postgresql_schema: str
    ) -> None:
        """See to an index on a table that is not ours, in that schema on PostgreSQL."""
        on_postgresql = self.engine.dialect.name == "postgresql"
        schema = postgresql_schema if on_postgresql else None
        with self.read() as session:
            if inspect(session.connection()).has_index(table, name, schema):
                return
        place = f"{schema}.{table}" if schema else table
        with self.begin() as session:
            if on_postgresql:
                session.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            session.execute(
                text(f"CREATE INDEX IF NOT EXISTS {name} ON {place} ({', '.join(columns)})")
            )

    @contextmanager
    def alone(self, number: int, *, wait: bool = False) -> Iterator[bool]:
        """Whether nobody else on any host is at what the number stands for, in the block.

        With `wait` that is waited for. SQLite has one host: there a lock file keeps others out.
        """
        if self.engine.dialect.name != "postgresql":
            yield True
            return
        take = func.pg_advisory_lock(number) if wait else func.pg_try_advisory_lock(number)
        with self.named_errors():
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with connection:
            with self.named_errors():
                taken = connection.scalar(select(take)) is not False
            try:
                yield taken
            finally:
                if taken:
                    with self.named_errors():
                        connection.execute(select(func.pg_advisory_unlock(number)))

    def check(self) -> None:
        """Raise StorageError with a sentence when the database does not answer."""
        with self.read() as session:
            session.execute(select(1))

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Errors of the driver become ours, with a sentence."""
        try:
            yield
        except (DBAPIError, PoolTimeout) as error:
            # The first line only: PostgreSQL names stored values in those that follow.
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            if isinstance(error, IntegrityError):
                raise Conflict(f"This contradicts what is stored: {reason}.") from error
            away = isinstance(error, OperationalError | InterfaceError | PoolTimeout)
            raise (DatabaseAway if away else StorageError)(
                f"{self!r} cannot be used: {reason}. Check that it is reachable, writable and "
                "migrated, and that `node.database_url` is right."
            ) from error


def open_database(url: str) -> Database:
    """The database at `sqlite:///<file>` or `postgresql+psycopg://…`; nothing is contacted yet."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StorageError(
            "The database URL cannot be read; write sqlite:///<file> or "
            "postgresql+psycopg://<user>@<host>/<name>."
        ) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return Database(parsed, _sqlite_engine(parsed))
    if backend == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        return Database(parsed, _postgresql_engine(parsed))
    raise StorageError(f"NeuroSieve stores in SQLite or PostgreSQL, not in {backend}.")


def _postgresql_engine(url: URL) -> Engine:
    # Row locks in `intake` count on each statement seeing what was committed before it began.
    return create_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        hide_parameters=True,  # UIDs stay out of error messages and logs
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": "neurosieve",
            # Without these a transaction waits a quarter of an hour for a host that vanished.
            "tcp_user_timeout": SILENCE_SECONDS * 1000,
            "keepalives_idle": SILENCE_SECONDS // 2,
            "keepalives_interval": SILENCE_SECONDS // 4,
            "keepalives_count": 2,
        },
    )


def _sqlite_engine(url: URL) -> Engine:
    if url.database in (None, "", ":memory:") or "mode" in url.query:
        raise StorageError("A database in memory does not survive; name a file: sqlite:///<file>.")
    engine = create_engine(
        url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: SqliteConnection, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN is deferred and comes too late
    _enter_wal(connection)
    for pragma in (
        "synchronous=FULL",
        "foreign_keys=ON",
        "fullfsync=ON",
        "checkpoint_fullfsync=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")  # fullfsync: macOS only, ignored elsewhere


def _enter_wal(connection: SqliteConnection) -> None:
    """Write-ahead logging. SQLite waits for no writer here, such as the engine on a new file."""
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except SqliteError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at the start: a lock taken later fails at once when another holds it."""
    reading = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql(f"PRAGMA query_only={'ON' if reading else 'OFF'}")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

"""A whole copy of the database while it is in use, and the way back into an empty one.

SQLite is copied by its online backup, PostgreSQL by `pg_dump` and `pg_restore`, which must be as
new as the server. The engine's tables come along, so that studies go on.
"""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, inspect, make_url

from storage import durable
from storage.database import open_database
from storage.errors import Conflict, StorageError

SQLITE_FILE, POSTGRES_FILE = "neurosieve.db", "neurosieve.dump"


def save(url: str, folder: Path) -> Path:
    """Copy the database into a folder; the file that was made. Raises StorageError."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _save_sqlite(_sqlite_file(parsed), folder / SQLITE_FILE)
    target = folder / POSTGRES_FILE
    _run("pg_dump", parsed, "--format=custom", "--no-owner", f"--file={target}")
    return target


def check_empty(url: str) -> None:
    """Raise Conflict where the database holds anything."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if _sqlite_file(parsed).exists():
            raise Conflict("The database file exists already; restore into an empty data folder.")
        return
    with closing(open_database(url)) as database, database.read() as session:
        found = inspect(session.connection()).get_table_names()
    if found:
        raise Conflict(
            f"The database holds tables already, such as {found[0]}; restore into an empty one."
        )


def load(url: str, file: Path) -> None:
    """Put a saved database in its place, as a whole or not at all. Raises StorageError."""
    parsed = make_url(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite != (file.name == SQLITE_FILE):
        raise StorageError(
            "The backup holds "
            f"{'a PostgreSQL' if is_sqlite else 'an SQLite'} database; name one of that kind in "
            "node.database_url."
        )
    if is_sqlite:
        _save_sqlite(file, _sqlite_file(parsed))
    else:
        options = ("--no-owner", "--single-transaction", "--exit-on-error", str(file))
        _run("pg_restore", parsed, *options)


def _save_sqlite(source: Path, target: Path) -> Path:
    if not source.is_file():
        raise StorageError(f"There is no database {source}.")
    try:
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
            (state,) = new.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as error:
        raise StorageError(f"The database could not be copied: {error}.") from error
    if state != "ok":
        raise StorageError(f"The copy of the database is damaged: {state}.")
    with target.open("rb") as file:
        os.fsync(file.fileno())
    durable.sync_folder(target.parent)
    return target


def _sqlite_file(url: URL) -> Path:
    return Path(url.database or "")


def _run(tool: str, url: URL, *options: str) -> None:
    program = shutil.which(tool)
    if program is None:
        raise StorageError(
            f"{tool} is not here; install the client programs of PostgreSQL, as new as the server."
        )
    # The password stays out of the list of processes.
    address = url.set(drivername="postgresql", password=None).render_as_string()
    environment = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    done = subprocess.run(
        [program, f"--dbname={address}", *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason was given"])[0]
        raise StorageError(f"{tool} failed: {reason}")

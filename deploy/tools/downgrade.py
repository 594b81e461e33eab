"""Take the schema of a stopped node's database back to an earlier revision.

    /opt/neurosieve/bin/python downgrade.py 0003 --config /etc/neurosieve/agent.toml

Run it with the newer version still installed: only that one knows the way back. What the older
schema has no place for is lost; deploy/docs/upgrade.md says when to restore a backup instead.
"""

import argparse
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from agent import settings
from storage.database import MIGRATION_LOCK, Database, open_database


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("revision", help="the four digits of the older schema, e.g. 0003")
    parser.add_argument("--config", type=Path, help="agent.toml")
    given = parser.parse_args()
    database = open_database(settings.load(given.config).database_url)
    try:
        downgrade(database, given.revision)
    finally:
        database.close()
    print(f"The schema is that of revision {given.revision}. Now install the older version.")


def downgrade(database: Database, revision: str) -> None:
    """Go back in one transaction: all of it, or nothing."""
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    with database.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


if __name__ == "__main__":
    main()

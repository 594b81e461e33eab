"""Runs the revisions on the connection it is given, inside that connection's transaction.

Alembic executes this file; `Database.migrate` holds the lock and the transaction.
"""

from alembic import context

from storage import tables
from storage.migrations import scope

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    transactional_ddl=True,  # on SQLite too: its driver is in manual transaction mode
    **scope.options(),
)
with context.begin_transaction():
    context.run_migrations()

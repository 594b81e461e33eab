"""When retention removed the files of images and of results; the rows stay.

Revision 0008, after 0007, 2026-11-26
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLES = ("instance", "result_object")


def upgrade() -> None:
    """Go to this revision."""
    for table in _TABLES:
        op.add_column(table, sa.Column("removed_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Go back to the one before. What was removed stays so, and is no longer said to be."""
    for table in _TABLES:
        op.drop_column(table, "removed_at")

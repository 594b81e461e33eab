"""Which executors live, and how often a run was taken over from a dead one.

Revision 0006, after 0005, 2026-11-26
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "executor",
        sa.Column("executor_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("alive_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("executor_id", name="pk_executor"),
    )
    op.create_table(
        "takeover",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_takeover"),
    )


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_table("takeover")
    op.drop_table("executor")

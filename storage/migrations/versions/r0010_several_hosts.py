"""One identity for all hosts, and which listeners take images of which studies.

Revision 0010, after 0008, 2026-11-26
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision. The first start writes the identity, from the data folder."""
    op.create_table(
        "installation",
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_installation"),
    )
    op.create_table(
        "listener",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("open_studies", sa.Text(), nullable=False),
        sa.Column("alive_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_listener"),
    )


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_table("listener")
    op.drop_table("installation")

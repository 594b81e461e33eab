"""Results by destination profile, revisions on request, computed images, places of lesions.

Revision 0003, after 0002, 2026-11-26
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision. Objects of before belong to no profile: an empty text."""
    op.add_column("study", sa.Column("model_folder", sa.Text()))
    op.add_column(
        "instance",
        sa.Column("computed", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column("lesion", sa.Column("side", sa.String(32)))
    op.add_column("lesion", sa.Column("level", sa.String(32)))
    op.add_column(
        "result_object",
        sa.Column("profile", sa.Text(), nullable=False, server_default=sa.text("''")),
    )


def downgrade() -> None:
    """Go back to the one before."""
    for table, name in (
        ("result_object", "profile"),
        ("lesion", "level"),
        ("lesion", "side"),
        ("instance", "computed"),
        ("study", "model_folder"),
    ):
        op.drop_column(table, name)

"""Proof of delivery: storage commitments, what proved each delivery, images by their own UID.

Revision 0005, after 0004, 2026-11-26
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision. What was stored in studies that have ended needs no proof any more."""
    op.create_table(
        "commitment",
        sa.Column("transaction_uid", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True)),
        sa.Column("answered_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("transaction_uid", name="pk_commitment"),
    )
    op.add_column("delivery", sa.Column("proof", sa.String(32)))
    op.add_column("delivery", sa.Column("transaction_uid", sa.Text()))
    op.create_index("ix_delivery_transaction", "delivery", ["transaction_uid"])
    op.create_index("ix_instance_sop", "instance", ["sop_uid"])
    op.execute(
        "UPDATE delivery SET proof = 'NONE' WHERE state = 'STORED' AND sop_uid IN"
        " (SELECT o.sop_uid FROM result_object o JOIN study s"
        " ON s.study_uid = o.study_uid AND s.revision = o.revision"
        " WHERE s.state IN ('DELIVERED', 'NOT_ANALYSED', 'FAILED', 'CANCELLED'))"
    )


def downgrade() -> None:
    """Go back to the one before, which knows no COMMITTED."""
    op.execute("UPDATE delivery SET state = 'STORED' WHERE state = 'COMMITTED'")
    op.drop_index("ix_instance_sop", "instance")
    op.drop_index("ix_delivery_transaction", "delivery")
    op.drop_column("delivery", "transaction_uid")
    op.drop_column("delivery", "proof")
    op.drop_table("commitment")

"""Indexes with which a node stays quick over a hundred thousand studies.

Revision 0009, after 0008, 2026-11-26. Ten million images take minutes here.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_NEW = (
    ("ix_study_received", "study", ["first_received_at", "study_uid", "revision"]),
    (
        "ix_study_state_received",
        "study",
        ["state", "first_received_at", "study_uid", "revision"],
    ),
    ("ix_study_finished_at", "study", ["finished_at"]),
    ("ix_instance_study_removed", "instance", ["study_uid", "removed_at"]),
    ("ix_analysis_outcome", "analysis", ["model_name", "model_version", "outcome"]),
    ("ix_analysis_created_at", "analysis", ["created_at"]),
    ("ix_analysis_scanner", "analysis", ["scanner"]),
    ("ix_delivery_state", "delivery", ["state", "destination"]),
    ("ix_commitment_asked_at", "commitment", ["asked_at"]),
    ("ix_audit_event_action", "audit_event", ["action", "number"]),
)
_OLD = (
    ("ix_study_state", "study", ["state", "last_received_at"]),
    ("ix_study_first_received_at", "study", ["first_received_at"]),
    ("ix_instance_study", "instance", ["study_uid", "revision"]),
)


def upgrade() -> None:
    """Go to this revision."""
    for name, table, _ in _OLD:
        op.drop_index(name, table)
    for name, table, columns in _NEW:
        op.create_index(name, table, columns)
    is_removed = sa.text("removed_at IS NOT NULL")
    op.create_index(
        "ix_instance_removed",
        "instance",
        ["removed_at", "study_uid"],
        sqlite_where=is_removed,
        postgresql_where=is_removed,
    )


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_index("ix_instance_removed", "instance")
    for name, table, _ in _NEW:
        op.drop_index(name, table)
    for name, table, columns in _OLD:
        op.create_index(name, table, columns)

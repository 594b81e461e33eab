"""The first schema.

Revision 0001, the first one, 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    _create_study()
    _create_instance()
    _create_series_decision()
    _create_analysis()
    _create_lesion()
    _create_result_object()
    _create_delivery()
    _create_model_version()


def downgrade() -> None:
    """Go back to an empty database."""
    for table in (
        "model_version",
        "delivery",
        "result_object",
        "lesion",
        "analysis",
        "series_decision",
        "instance",
        "study",
    ):
        op.drop_table(table)


def _create_study() -> None:
    op.create_table(
        "study",
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("priority", sa.String(32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("source_ae", sa.Text(), nullable=False),
        sa.Column("instance_count", sa.Integer(), nullable=False),
        sa.Column("first_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        sa.Column("completion_evidence", sa.Text()),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("study_uid", "revision", name="pk_study"),
    )
    op.create_index("ix_study_first_received_at", "study", ["first_received_at"])
    op.create_index("ix_study_state", "study", ["state", "last_received_at"])


def _create_instance() -> None:
    op.create_table(
        "instance",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("superseded_in", sa.Integer()),
        sa.Column("series_uid", sa.Text(), nullable=False),
        sa.Column("sop_uid", sa.Text(), nullable=False),
        sa.Column("sop_class_uid", sa.Text(), nullable=False),
        sa.Column("transfer_syntax_uid", sa.Text(), nullable=False),
        sa.Column("source_ae", sa.Text(), nullable=False),
        sa.Column("priority", sa.String(32), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_uid", "revision"],
            ["study.study_uid", "study.revision"],
            name="fk_instance_study",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_instance"),
    )
    op.create_index("ix_instance_path", "instance", ["path"])
    op.create_index("ix_instance_study", "instance", ["study_uid", "revision"])
    op.create_index(
        "uq_instance_current",
        "instance",
        ["study_uid", "sop_uid"],
        unique=True,
        sqlite_where=sa.text("superseded_in IS NULL"),
        postgresql_where=sa.text("superseded_in IS NULL"),
    )


def _create_series_decision() -> None:
    op.create_table(
        "series_decision",
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("series_uid", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("instance_count", sa.Integer(), nullable=False),
        sa.Column("chosen", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_uid", "revision"],
            ["study.study_uid", "study.revision"],
            name="fk_series_decision_study",
        ),
        sa.PrimaryKeyConstraint("study_uid", "revision", "position", name="pk_series_decision"),
    )


def _create_analysis() -> None:
    op.create_table(
        "analysis",
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("reason_code", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("series_uid", sa.Text()),
        sa.Column("study_score", sa.Double()),
        sa.Column("study_p_value", sa.Double()),
        sa.Column("slice_scores", sa.Text(), nullable=False),
        sa.Column("slice_p_values", sa.Text(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("model_sha256", sa.Text(), nullable=False),
        sa.Column("threshold_version", sa.Text(), nullable=False),
        sa.Column("input_sha256", sa.Text(), nullable=False),
        sa.Column("runtime", sa.Text(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_uid", "revision"],
            ["study.study_uid", "study.revision"],
            name="fk_analysis_study",
        ),
        sa.PrimaryKeyConstraint("study_uid", "revision", name="pk_analysis"),
    )


def _create_lesion() -> None:
    op.create_table(
        "lesion",
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tracking_uid", sa.Text(), nullable=False),
        sa.Column("volume_ml", sa.Double(), nullable=False),
        sa.Column("diameter_mm", sa.Double(), nullable=False),
        sa.Column("centroid_mm", sa.Text(), nullable=False),
        sa.Column("peak_score", sa.Double(), nullable=False),
        sa.Column("mean_score", sa.Double(), nullable=False),
        sa.Column("slice_index", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_uid", "revision"],
            ["analysis.study_uid", "analysis.revision"],
            name="fk_lesion_analysis",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_uid", "revision", "number", name="pk_lesion"),
    )


def _create_result_object() -> None:
    op.create_table(
        "result_object",
        sa.Column("sop_uid", sa.Text(), nullable=False),
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sop_class_uid", sa.Text(), nullable=False),
        sa.Column("series_uid", sa.Text(), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("transfer_syntax_uid", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_uid", "revision"],
            ["study.study_uid", "study.revision"],
            name="fk_result_object_study",
        ),
        sa.PrimaryKeyConstraint("sop_uid", name="pk_result_object"),
    )
    op.create_index("ix_result_object_study", "result_object", ["study_uid", "revision"])


def _create_delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("sop_uid", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["sop_uid"],
            ["result_object.sop_uid"],
            name="fk_delivery_result_object",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sop_uid", "destination", name="pk_delivery"),
    )


def _create_model_version() -> None:
    op.create_table(
        "model_version",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name="pk_model_version"),
    )
    op.create_index(
        "uq_model_version_active",
        "model_version",
        ["active"],
        unique=True,
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    )

"""What reads studies and since when, trials, feedback, trainings and the audit.

Revision 0004, after 0003, 2026-11-26
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OF_LESION = (
    "mass_score",
    "extent_mm",
    "thickness_mm",
    "compactness",
    "asymmetry",
    "contrast",
    "ventricle_mm",
    "near_ventricle",
    "surface_mm",
)
_NEW_TABLES = (
    "audit_event",
    "training_run",
    "activation",
    "threshold_set",
    "feedback",
    "shadow_lesion",
    "shadow_analysis",
)


def upgrade() -> None:
    """Go to this revision. The model that was active is the first one in force."""
    op.add_column("analysis", sa.Column("scanner", sa.Text()))
    _create_shadow_analysis()
    _create_shadow_lesion()
    _create_feedback()
    _change_model_version()
    _create_threshold_set()
    _create_activation()
    _create_training_run()
    _create_audit_event()
    op.execute(
        "INSERT INTO activation (number, change, model_name, model_version, at, by, why)"
        " SELECT 1, 'ACTIVATED', name, version, registered_at, 'upgrade', 'active before'"
        " FROM model_version WHERE active"
    )
    op.drop_index("uq_model_version_active", "model_version")
    op.drop_column("model_version", "active")


def downgrade() -> None:
    """Go back to the one before. What is in force stays active; the rest of the tables is lost."""
    # No batch: on SQLite it drops the table, which activations point at. The default stays there.
    op.add_column(
        "model_version",
        sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.execute(
        "UPDATE model_version SET active = true WHERE EXISTS (SELECT 1 FROM activation"
        " WHERE model_name = name AND model_version = version"
        " AND number = (SELECT max(number) FROM activation))"
    )
    for table in _NEW_TABLES:
        op.drop_table(table)
    op.drop_index("uq_model_version_shadow", "model_version")
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("model_version", "active", server_default=None)
    for name in ("shadow", "sequence", "origin"):
        op.drop_column("model_version", name)
    op.create_index(
        "uq_model_version_active",
        "model_version",
        ["active"],
        unique=True,
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    )
    op.drop_column("analysis", "scanner")


def _create_shadow_analysis() -> None:
    op.create_table(
        "shadow_analysis",
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
        sa.Column("pattern", sa.String(32)),
        sa.Column("symmetry", sa.Double()),
        sa.Column("near_ventricle", sa.Double()),
        *_texts("model_name", "model_version", "model_sha256", "threshold_version"),
        *_texts("input_sha256", "runtime", "code_version"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("scanner", sa.Text()),
        _of_study("shadow_analysis"),
        sa.PrimaryKeyConstraint("study_uid", "revision", name="pk_shadow_analysis"),
    )


def _create_shadow_lesion() -> None:
    op.create_table(
        "shadow_lesion",
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
        sa.Column("mass_like", sa.Boolean()),
        *(sa.Column(name, sa.Double()) for name in _OF_LESION),
        sa.Column("side", sa.String(32)),
        sa.Column("level", sa.String(32)),
        sa.ForeignKeyConstraint(
            ["study_uid", "revision"],
            ["shadow_analysis.study_uid", "shadow_analysis.revision"],
            name="fk_shadow_lesion_shadow_analysis",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_uid", "revision", "number", name="pk_shadow_lesion"),
    )


def _create_feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite")),
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("mark", sa.String(32), nullable=False),
        *_texts("note", "by"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _of_study("feedback"),
        sa.PrimaryKeyConstraint("number", name="pk_feedback"),
    )
    op.create_index("ix_feedback_study", "feedback", ["study_uid", "number"])


def _change_model_version() -> None:
    with op.batch_alter_table("model_version") as batch:
        batch.add_column(
            sa.Column("origin", sa.String(32), nullable=False, server_default="CONFIGURED")
        )
        batch.add_column(sa.Column("sequence", sa.Text(), nullable=False, server_default=""))
        batch.add_column(
            sa.Column("shadow", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("model_version") as batch:
        batch.alter_column("origin", server_default=None)
        batch.alter_column("sequence", server_default=None)
    op.create_index(
        "uq_model_version_shadow",
        "model_version",
        ["shadow"],
        unique=True,
        sqlite_where=sa.text("shadow"),
        postgresql_where=sa.text("shadow"),
    )


def _create_threshold_set() -> None:
    op.create_table(
        "threshold_set",
        sa.Column("number", sa.Integer(), nullable=False),
        *_texts("model_name", "model_version", "version"),
        sa.Column("pixel", sa.Double(), nullable=False),
        sa.Column("slice", sa.Double(), nullable=False),
        sa.Column("minimum_volume_ml", sa.Double(), nullable=False),
        sa.Column("slice_reference", sa.Text()),
        sa.Column("study_reference", sa.Text()),
        sa.Column("operating_point", sa.Text(), nullable=False),
        sa.Column("study_count", sa.Integer()),
        sa.Column("false_positive_rate", sa.Double()),
        sa.Column("rate_low", sa.Double()),
        sa.Column("rate_high", sa.Double()),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        *_texts("made_by", "why"),
        _of_model("threshold_set"),
        sa.PrimaryKeyConstraint("number", name="pk_threshold_set"),
    )


def _create_activation() -> None:
    op.create_table(
        "activation",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("change", sa.String(32), nullable=False),
        *_texts("model_name", "model_version"),
        sa.Column("thresholds", sa.Integer()),
        sa.Column("previous", sa.Integer()),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *_texts("by", "why"),
        sa.ForeignKeyConstraint(
            ["thresholds"], ["threshold_set.number"], name="fk_activation_threshold_set"
        ),
        sa.ForeignKeyConstraint(
            ["previous"], ["activation.number"], name="fk_activation_activation"
        ),
        _of_model("activation"),
        sa.PrimaryKeyConstraint("number", name="pk_activation"),
    )


def _create_training_run() -> None:
    op.create_table(
        "training_run",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        *_texts("folder", "recipe"),
        sa.Column("base_name", sa.Text()),
        sa.Column("base_version", sa.Text()),
        *_texts("device"),
        sa.Column("progress", sa.Double(), nullable=False),
        *_texts("stage", "asked_by"),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("error", sa.Text()),
        sa.Column("candidate_version", sa.Text()),
        sa.PrimaryKeyConstraint("name", name="pk_training_run"),
    )


def _create_audit_event() -> None:
    op.create_table(
        "audit_event",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
        ),
        *_texts("at", "who", "action", "subject", "detail", "previous_sha256", "sha256"),
        sa.PrimaryKeyConstraint("number", name="pk_audit_event"),
    )


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _of_study(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["study_uid", "revision"], ["study.study_uid", "study.revision"], name=f"fk_{table}_study"
    )


def _of_model(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["model_name", "model_version"],
        ["model_version.name", "model_version.version"],
        name=f"fk_{table}_model_version",
    )

"""The schema on one page. Identifiers, times and words about images; nothing about patients.

study ─┬─ instance            what was received, and the revision that superseded it
       ├─ series_decision     which series was read, and why
       ├─ analysis ── lesion  what the model said
       └─ result_object ── delivery
model_version                 the model folders the node knows; at most one is active
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    false,
    text,
)

from storage.columns import Numbers, UtcTime, Words, one_of
from storage.records import DeliveryState, Level, Outcome, Pattern, Priority, Role, Side, StudyState


def _revision_columns() -> tuple[Column[Any], Column[Any]]:
    return (
        Column("study_uid", Text, primary_key=True),
        Column("revision", Integer, primary_key=True),
    )


def _of_study() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["study_uid", "revision"], ["study.study_uid", "study.revision"])


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

study = Table(
    "study",
    metadata,
    *_revision_columns(),
    Column("state", one_of(StudyState), nullable=False),
    Column("priority", one_of(Priority), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("source_ae", Words, nullable=False),
    Column("instance_count", Integer, nullable=False),
    Column("first_received_at", UtcTime, nullable=False),
    Column("last_received_at", UtcTime, nullable=False),
    Column("completed_at", UtcTime),
    Column("completion_evidence", Words),
    Column("finished_at", UtcTime),
    Column("error", Words),
    Column("model_folder", Words),
    Index("ix_study_state", "state", "last_received_at"),
    Index("ix_study_first_received_at", "first_received_at"),
)

# An image belongs to revision r when `revision <= r` and it was not superseded up to r.
instance = Table(
    "instance",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("study_uid", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("superseded_in", Integer),
    Column("series_uid", Text, nullable=False),
    Column("sop_uid", Text, nullable=False),
    Column("sop_class_uid", Text, nullable=False),
    Column("transfer_syntax_uid", Text, nullable=False),
    Column("source_ae", Words, nullable=False),
    Column("priority", one_of(Priority), nullable=False),
    Column("path", Text, nullable=False),
    Column("content_sha256", Text, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("computed", Boolean, nullable=False, server_default=false()),
    _of_study(),
    Index("ix_instance_study", "study_uid", "revision"),
    Index("ix_instance_path", "path"),
    Index(
        "uq_instance_current",
        "study_uid",
        "sop_uid",
        unique=True,
        sqlite_where=text("superseded_in IS NULL"),
        postgresql_where=text("superseded_in IS NULL"),
    ),
)

series_decision = Table(
    "series_decision",
    metadata,
    *_revision_columns(),
    Column("position", Integer, primary_key=True),
    Column("series_uid", Text, nullable=False),
    Column("modality", Words, nullable=False),
    Column("description", Words, nullable=False),
    Column("instance_count", Integer, nullable=False),
    Column("chosen", Boolean, nullable=False),
    Column("reason", Words, nullable=False),
    _of_study(),
)

analysis = Table(
    "analysis",
    metadata,
    *_revision_columns(),
    Column("outcome", one_of(Outcome), nullable=False),
    Column("reason_code", Text),
    Column("reason", Words),
    Column("series_uid", Text),
    Column("study_score", Double),
    Column("study_p_value", Double),
    Column("slice_scores", Numbers, nullable=False),
    Column("slice_p_values", Numbers, nullable=False),
    Column("pattern", one_of(Pattern)),
    Column("symmetry", Double),
    Column("near_ventricle", Double),
    Column("model_name", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("model_sha256", Text, nullable=False),
    Column("threshold_version", Text, nullable=False),
    Column("input_sha256", Text, nullable=False),
    Column("runtime", Text, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    _of_study(),
)

lesion = Table(
    "lesion",
    metadata,
    *_revision_columns(),
    Column("number", Integer, primary_key=True),
    Column("tracking_uid", Text, nullable=False),
    Column("volume_ml", Double, nullable=False),
    Column("diameter_mm", Double, nullable=False),
    Column("centroid_mm", Numbers, nullable=False),
    Column("peak_score", Double, nullable=False),
    Column("mean_score", Double, nullable=False),
    Column("slice_index", Integer, nullable=False),
    Column("mass_like", Boolean),
    Column("mass_score", Double),
    Column("extent_mm", Double),
    Column("thickness_mm", Double),
    Column("compactness", Double),
    Column("asymmetry", Double),
    Column("contrast", Double),
    Column("ventricle_mm", Double),
    Column("near_ventricle", Double),
    Column("surface_mm", Double),
    Column("side", one_of(Side)),
    Column("level", one_of(Level)),
    ForeignKeyConstraint(
        ["study_uid", "revision"], ["analysis.study_uid", "analysis.revision"], ondelete="CASCADE"
    ),
)

# `current` marks the newest attempt; older objects stay while a destination may hold them.
result_object = Table(
    "result_object",
    metadata,
    Column("sop_uid", Text, primary_key=True),
    Column("study_uid", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("position", Integer, nullable=False),
    Column("sop_class_uid", Text, nullable=False),
    Column("series_uid", Text, nullable=False),
    Column("role", one_of(Role), nullable=False),
    Column("profile", Text, nullable=False, server_default=text("''")),
    Column("transfer_syntax_uid", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    _of_study(),
    Index("ix_result_object_study", "study_uid", "revision"),
)

delivery = Table(
    "delivery",
    metadata,
    Column(
        "sop_uid", Text, ForeignKey("result_object.sop_uid", ondelete="CASCADE"), primary_key=True
    ),
    Column("destination", Text, primary_key=True),
    Column("state", one_of(DeliveryState), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("status", Integer),
    Column("error", Words),
    Column("updated_at", UtcTime, nullable=False),
)

model_version = Table(
    "model_version",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("registered_at", UtcTime, nullable=False),
    Index(
        "uq_model_version_active",
        "active",
        unique=True,
        sqlite_where=text("active"),
        postgresql_where=text("active"),
    ),
)

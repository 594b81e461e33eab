"""The schema on one page. Identifiers, times and words about images; nothing about patients.

study ─┬─ instance            what was received, and the revision that superseded it
       ├─ series_decision     which series was read, and why
       ├─ analysis ── lesion  what the model said
       ├─ shadow_analysis ── shadow_lesion    what the model on trial said; never sent
       └─ result_object ── delivery
commitment                    requests to destinations to prove that they hold what they were sent
feedback                      what radiologists said of studies
model_version ─┬─ threshold_set    the model folders the node knows, and thresholds made for them
               └─ activation       what has read studies from when on; the newest row is in force
training_run                  trainings that were asked for
installation                  the identity under which UIDs are made, the same on all hosts
listener                      which listeners live, and of which studies they take images
executor, takeover            which workers live, what was taken over from dead ones (PostgreSQL)
audit_event                   who changed what, each row sealed by a hash over the one before
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

from storage.columns import Numbers, Uids, UtcTime, Words, one_of
from storage.enums import (
    Change,
    DeliveryState,
    Level,
    Mark,
    Origin,
    Outcome,
    Pattern,
    Priority,
    Proof,
    Role,
    Side,
    StudyState,
    TrainingState,
)


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index over some rows; a statement must state the same condition with the same literals."""
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def _revision_columns() -> tuple[Column[Any], Column[Any]]:
    return (
        Column("study_uid", Text, primary_key=True),
        Column("revision", Integer, primary_key=True),
    )


def _of_study() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["study_uid", "revision"], ["study.study_uid", "study.revision"])


def _of_model() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["model_name", "model_version"], ["model_version.name", "model_version.version"]
    )


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
    # In the order of lists, so that a page of one is read and nothing is sorted.
    Index("ix_study_received", "first_received_at", "study_uid", "revision"),
    Index("ix_study_state_received", "state", "first_received_at", "study_uid", "revision"),
    Index("ix_study_finished_at", "finished_at"),
    Index("ix_study_state_finished", "state", "finished_at"),
    _partial("ix_study_incomplete", "study_uid", where="completion_evidence LIKE '%Incomplete:%'"),
)

# An image belongs to revision r when `revision <= r` and it was not superseded up to r. Retention
# removes its file, and takes it out of the revisions to come.
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
    Column("removed_at", UtcTime),
    _of_study(),
    Index("ix_instance_study_removed", "study_uid", "removed_at"),
    _partial("ix_instance_removed", "removed_at", "study_uid", where="removed_at IS NOT NULL"),
    Index("ix_instance_path", "path"),
    Index("ix_instance_sop", "sop_uid"),
    _partial(
        "uq_instance_current", "study_uid", "sop_uid", where="superseded_in IS NULL", unique=True
    ),
)

series_decision = Table(
    "series_decision",
    metadata,
    *_revision_columns(),
    Column("position", Integer, primary_key=True),
    Column("series_uid", Text, nullable=False),
    Column("number", BigInteger, nullable=False, server_default=text("0")),
    Column("modality", Words, nullable=False),
    Column("instance_count", Integer, nullable=False),
    Column("chosen", Boolean, nullable=False),
    Column("reason", Words, nullable=False),
    _of_study(),
)


def _analysis_columns() -> tuple[Column[Any], ...]:
    """What a model says of a revision, whether it is in force or on trial."""
    return (
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
        Column("scanner", Words),
    )


def _lesion_columns(of: str) -> tuple[Column[Any] | ForeignKeyConstraint, ...]:
    """A finding of the analysis in the table `of`."""
    return (
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
            ["study_uid", "revision"], [f"{of}.study_uid", f"{of}.revision"], ondelete="CASCADE"
        ),
    )


analysis = Table(
    "analysis",
    metadata,
    *_analysis_columns(),
    _of_study(),
    Index("ix_analysis_outcome", "model_name", "model_version", "outcome"),
    Index("ix_analysis_created_at", "created_at"),
    Index("ix_analysis_scanner", "scanner"),
)
lesion = Table("lesion", metadata, *_lesion_columns("analysis"))

shadow_analysis = Table("shadow_analysis", metadata, *_analysis_columns(), _of_study())
shadow_lesion = Table("shadow_lesion", metadata, *_lesion_columns("shadow_analysis"))

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
    Column("removed_at", UtcTime),
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
    Column("proof", one_of(Proof)),
    Column("transaction_uid", Text),
    Index("ix_delivery_transaction", "transaction_uid"),
    _partial("ix_delivery_failed", "destination", where="state = 'FAILED'"),
    _partial("ix_delivery_unproven", "destination", where="state = 'STORED' AND proof IS NULL"),
)

# A delivery names the transaction that it was asked for in last.
commitment = Table(
    "commitment",
    metadata,
    Column("transaction_uid", Text, primary_key=True),
    Column("destination", Text, nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("accepted_at", UtcTime),
    Column("answered_at", UtcTime),
    Index("ix_commitment_asked_at", "asked_at"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("study_uid", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("mark", one_of(Mark), nullable=False),
    Column("note", Words, nullable=False),
    Column("by", Words, nullable=False),
    Column("at", UtcTime, nullable=False),
    _of_study(),
    Index("ix_feedback_study", "study_uid", "number"),
)

model_version = Table(
    "model_version",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("origin", one_of(Origin), nullable=False),
    Column("sequence", Text, nullable=False),
    Column("registered_at", UtcTime, nullable=False),
    Column("shadow", Boolean, nullable=False, server_default=false()),
    _partial("uq_model_version_shadow", "shadow", where="shadow", unique=True),
)

threshold_set = Table(
    "threshold_set",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("model_name", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("pixel", Double, nullable=False),
    Column("slice", Double, nullable=False),
    Column("minimum_volume_ml", Double, nullable=False),
    Column("slice_reference", Numbers),
    Column("study_reference", Numbers),
    Column("operating_point", Words, nullable=False),
    Column("study_count", Integer),
    Column("false_positive_rate", Double),
    Column("rate_low", Double),
    Column("rate_high", Double),
    Column("made_at", UtcTime, nullable=False),
    Column("made_by", Words, nullable=False),
    Column("why", Words, nullable=False),
    _of_model(),
)

activation = Table(
    "activation",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("change", one_of(Change), nullable=False),
    Column("model_name", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("thresholds", Integer, ForeignKey("threshold_set.number")),
    Column("previous", Integer, ForeignKey("activation.number")),
    Column("at", UtcTime, nullable=False),
    Column("by", Words, nullable=False),
    Column("why", Words, nullable=False),
    _of_model(),
)

training_run = Table(
    "training_run",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", one_of(TrainingState), nullable=False),
    Column("folder", Text, nullable=False),
    Column("recipe", Text, nullable=False),
    Column("base_name", Text),
    Column("base_version", Text),
    Column("device", Text, nullable=False),
    Column("progress", Double, nullable=False),
    Column("stage", Words, nullable=False),
    Column("asked_by", Words, nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("error", Words),
    Column("candidate_version", Text),
)

installation = Table(
    "installation",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("identity", Text, nullable=False),
)

listener = Table(
    "listener",
    metadata,
    Column("name", Text, primary_key=True),
    Column("place", Text, nullable=False),
    Column("open_studies", Uids, nullable=False),
    Column("alive_until", UtcTime, nullable=False),
)

executor = Table(
    "executor",
    metadata,
    Column("executor_id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("alive_until", UtcTime, nullable=False),
)

takeover = Table(
    "takeover",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("count", Integer, nullable=False),
)

audit_event = Table(
    "audit_event",
    metadata,
    Column(
        "number",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("at", Text, nullable=False),
    Column("who", Words, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Words, nullable=False),
    Column("detail", Words, nullable=False),
    Column("previous_sha256", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Index("ix_audit_event_action", "action", "number"),
)

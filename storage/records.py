"""Frozen values that leave storage, and the states they can be in."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

StudyUid = NewType("StudyUid", str)
SeriesUid = NewType("SeriesUid", str)
SopUid = NewType("SopUid", str)

StudyKey = NewType("StudyKey", str)
"""Names one revision of one study: `<study instance uid>#<revision>`."""

INCOMPLETE = "Incomplete:"
"""Begins the completion evidence of a study that was read without all its images."""


class StudyState(StrEnum):
    """Where one revision of a study stands."""

    RECEIVING = "RECEIVING"  # images may still come
    COMPLETE = "COMPLETE"  # all is here, the work is enqueued
    ANALYSING = "ANALYSING"  # a worker has it
    COMPOSED = "COMPOSED"  # the result objects are on disk
    DELIVERING = "DELIVERING"  # results are on their way to the destinations
    DELIVERED = "DELIVERED"  # every destination stored every result
    NOT_ANALYSED = "NOT_ANALYSED"  # ended with a report that says why there is no result
    FAILED = "FAILED"  # ended after the last try; a person must look
    CANCELLED = "CANCELLED"  # a person stopped it


TERMINAL_STATES = frozenset(
    {StudyState.DELIVERED, StudyState.NOT_ANALYSED, StudyState.FAILED, StudyState.CANCELLED}
)


class Priority(StrEnum):
    """How urgent a study is; STAT goes first."""

    STAT = "STAT"
    ROUTINE = "ROUTINE"


class Outcome(StrEnum):
    """How an analysis ended."""

    ABNORMAL = "ABNORMAL"
    NO_ABNORMALITY = "NO_ABNORMALITY"
    NOT_ANALYSED = "NOT_ANALYSED"


class Pattern(StrEnum):
    """What the findings of a study look like together; never a diagnosis."""

    NONE = "NONE"  # no lesion
    MASS_LIKE = "MASS_LIKE"  # at least one lesion looks like a mass
    WHITE_MATTER = "WHITE_MATTER"  # lesions, none of which does


class Side(StrEnum):
    """On which side of the brain a lesion lies."""

    LEFT = "LEFT"
    RIGHT = "RIGHT"
    MIDLINE = "MIDLINE"


class Level(StrEnum):
    """In which third of the brain's height a lesion lies."""

    UPPER = "UPPER"
    MIDDLE = "MIDDLE"
    LOWER = "LOWER"


class Role(StrEnum):
    """What a result object is for."""

    REPORT = "REPORT"
    SEGMENTATION = "SEGMENTATION"
    HEATMAP = "HEATMAP"
    PARAMETRIC_MAP = "PARAMETRIC_MAP"
    KEY_IMAGES = "KEY_IMAGES"
    DERIVED_SERIES = "DERIVED_SERIES"
    REJECTION_NOTE = "REJECTION_NOTE"


class Origin(StrEnum):
    """Where a model folder came from."""

    SHIPPED = "SHIPPED"  # with the package
    CONFIGURED = "CONFIGURED"  # named in the configuration at the first start
    IMPORTED = "IMPORTED"  # brought by a person
    RETRAINED = "RETRAINED"  # learnt here


class Change(StrEnum):
    """What a row in the history of activations did."""

    ACTIVATED = "ACTIVATED"  # another model
    THRESHOLDS = "THRESHOLDS"  # other thresholds for the same model
    ROLLED_BACK = "ROLLED_BACK"  # what was in force before


class Mark(StrEnum):
    """What a radiologist says of a study after the node has spoken."""

    NORMAL = "normal"  # nothing is there
    LESION = "lesion"  # something is there, and was found
    FALSE_POSITIVE = "false-positive"  # something was found that is nothing
    MISSED = "missed"  # something is there, and was not found


class TrainingState(StrEnum):
    """Where a training stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    REGISTERED = "REGISTERED"  # the candidate is known, and not active
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class DeliveryState(StrEnum):
    """How far one object has come on its way to one destination."""

    PENDING = "PENDING"
    STORED = "STORED"  # the peer said Success; whether it kept the object is another question
    COMMITTED = "COMMITTED"  # the peer has proven that it holds the object
    FAILED = "FAILED"


class Proof(StrEnum):
    """What says that a destination holds an object."""

    COMMITMENT = "COMMITMENT"  # storage commitment, PS3.4 annex J
    QUERY = "QUERY"  # it was found there by C-FIND or QIDO-RS
    NONE = "NONE"  # nobody asked, or the peer offers neither; STORED is the end then


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file the store keeps. `path` is relative to the store's root, with forward slashes."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One received image. `content_sha256` covers transfer syntax and encoded data set, not the
    file header, so that the same image sent by two peers counts as one. A `computed` image was
    made from others by software that is no scanner's."""

    study_uid: StudyUid
    series_uid: SeriesUid
    sop_uid: SopUid
    sop_class_uid: str
    transfer_syntax_uid: str
    source_ae: str
    priority: Priority
    path: str
    content_sha256: str
    received_at: datetime
    computed: bool = False


@dataclass(frozen=True, kw_only=True)
class SeriesArrived:
    """How many images of one series are here, and when the newest of them came."""

    series_uid: SeriesUid
    instance_count: int
    newest_at: datetime


@dataclass(frozen=True, kw_only=True)
class Study:
    """One revision of a study. `model_folder` is None where the configured model reads it."""

    study_uid: StudyUid
    revision: int
    state: StudyState
    priority: Priority
    attempt: int
    source_ae: str
    instance_count: int
    first_received_at: datetime
    last_received_at: datetime
    completed_at: datetime | None
    completion_evidence: str | None
    finished_at: datetime | None
    error: str | None
    model_folder: str | None = None

    @property
    def is_incomplete(self) -> bool:
        """Whether it was completed although images were known to be missing."""
        return INCOMPLETE in (self.completion_evidence or "")

    @property
    def key(self) -> StudyKey:
        """The name of this revision."""
        return StudyKey(f"{self.study_uid}#{self.revision}")


@dataclass(frozen=True, kw_only=True)
class SeriesDecision:
    """Whether one series of a study was read, and why.

    `number` is the scanner's (0 where it gave none). Its description is not kept: people type
    names into it.
    """

    series_uid: SeriesUid
    number: int
    modality: str
    instance_count: int
    chosen: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What a model said about one revision of a study, and everything needed to say it again.

    Scores, p-values and thresholds are None where the study was not analysed; `reason_code` and
    `reason` are None where it was. `symmetry` is the share of the lesions' volume that another
    lesion mirrors in the other half of the brain, `near_ventricle` the share within 10 mm of a
    ventricle; both and `pattern` are None where nothing was measured, as in earlier versions.
    `scanner` names the device (maker, model, serial number), None where the images do not.
    """

    outcome: Outcome
    reason_code: str | None
    reason: str | None
    series_uid: SeriesUid | None
    study_score: float | None
    study_p_value: float | None
    slice_scores: tuple[float, ...]
    slice_p_values: tuple[float, ...]
    pattern: Pattern | None
    symmetry: float | None
    near_ventricle: float | None
    model_name: str
    model_version: str
    model_sha256: str
    threshold_version: str
    input_sha256: str
    runtime: str
    code_version: str
    created_at: datetime
    scanner: str | None = None


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One connected finding. Lengths in mm, positions in LPS mm, `number` from 1 by volume.

    `mass_score` runs from 0 (white-matter disease) to 1 (mass). What follows it describes the
    shape as `agent.imaging.results.Shape` does; None where it was not measured.
    """

    number: int
    tracking_uid: str
    volume_ml: float
    diameter_mm: float
    centroid_mm: tuple[float, float, float]
    peak_score: float
    mean_score: float
    slice_index: int
    mass_like: bool | None
    mass_score: float | None
    extent_mm: float | None
    thickness_mm: float | None
    compactness: float | None
    asymmetry: float | None
    contrast: float | None
    ventricle_mm: float | None
    near_ventricle: float | None
    surface_mm: float | None
    side: Side | None
    level: Level | None


@dataclass(frozen=True, kw_only=True)
class ResultObject:
    """A DICOM object made from an analysis, as it lies in the store.

    `profile` is the digest of the profile that it was built for; destinations with the same
    profile get the same objects.
    """

    sop_uid: SopUid
    sop_class_uid: str
    series_uid: SeriesUid
    role: Role
    profile: str
    transfer_syntax_uid: str
    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One result object on its way to one destination. `status` is the DIMSE status, if any.

    `proof` is None as long as there is none; `transaction_uid` names the commitment asked for last.
    """

    sop_uid: SopUid
    destination: str
    state: DeliveryState
    attempts: int
    status: int | None
    error: str | None
    updated_at: datetime
    proof: Proof | None = None
    transaction_uid: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do: proven, or stored where no proof is to be had."""
        if self.state is DeliveryState.STORED:
            return self.proof is Proof.NONE
        return self.state is DeliveryState.COMMITTED


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """One request for storage commitment; `accepted_at` is when the peer took the request."""

    transaction_uid: str
    destination: str
    asked_at: datetime
    accepted_at: datetime | None
    answered_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """What one person said of one revision of a study."""

    study_uid: StudyUid
    revision: int
    mark: Mark
    note: str
    by: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A model folder the node knows. `shadow` says that it is on trial: it reads every study too,
    and what it says is kept and never sent."""

    name: str
    version: str
    sha256: str
    folder: str
    origin: Origin
    sequence: str
    registered_at: datetime
    shadow: bool = False

    @property
    def label(self) -> str:
        """How the command names it."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, kw_only=True)
class ThresholdSet:
    """Thresholds made for one model version after it was trained.

    The references are scores of tumour-free slices and studies, rising, from which p-values are
    read; None where those of the model's folder hold. The last four before `made_at` are None where
    a person chose the numbers: how many studies they rest on, the share of tumour-free studies that
    may pass, and its 95 % interval. `number` is 0 before the set is kept.
    """

    number: int = 0
    model_name: str
    model_version: str
    version: str
    pixel: float
    slice: float
    minimum_volume_ml: float
    slice_reference: tuple[float, ...] | None = None
    study_reference: tuple[float, ...] | None = None
    operating_point: str
    study_count: int | None = None
    false_positive_rate: float | None = None
    rate_low: float | None = None
    rate_high: float | None = None
    made_at: datetime
    made_by: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Activation:
    """What reads studies from `at` on: a model and its thresholds, None for the model's own.

    `previous` is the row that a rollback restores.
    """

    number: int
    change: Change
    model_name: str
    model_version: str
    thresholds: int | None
    previous: int | None
    at: datetime
    by: str
    why: str

    @property
    def label(self) -> str:
        """How the command names the model."""
        return f"{self.model_name}@{self.model_version}"


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """A training that was asked for. `folder` holds its data, checkpoints and outcome; the base is
    the model whose weights it begins with; `progress` runs from 0 to 1."""

    name: str
    state: TrainingState
    folder: str
    recipe: str
    base_name: str | None
    base_version: str | None
    device: str
    progress: float = 0.0
    stage: str = ""
    asked_by: str
    asked_at: datetime
    finished_at: datetime | None = None
    error: str | None = None
    candidate_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """One thing that somebody did; `sha256` covers it and the event before."""

    number: int
    at: datetime
    who: str
    action: str
    subject: str
    detail: str
    previous_sha256: str
    sha256: str

"""Frozen values about studies, their images and results, and the audit."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from storage.enums import (
    DeliveryState,
    Level,
    Mark,
    Outcome,
    Pattern,
    Priority,
    Proof,
    Role,
    Side,
    StudyState,
)

StudyUid = NewType("StudyUid", str)
SeriesUid = NewType("SeriesUid", str)
SopUid = NewType("SopUid", str)

StudyKey = NewType("StudyKey", str)
"""Names one revision of one study: `<study instance uid>#<revision>`."""

INCOMPLETE = "Incomplete:"
"""Begins the completion evidence of a study that was read without all its images."""


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

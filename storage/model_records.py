"""Frozen values about models: their versions, thresholds, activations and trainings."""

from dataclasses import dataclass
from datetime import datetime

from storage.enums import Change, Origin, TrainingState


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

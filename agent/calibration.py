"""A threshold from tumour-free studies of a site: what rate it promises, and on how many it rests.

Split-conformal prediction (Vovk, Gammerman, Shafer 2005; Angelopoulos, Bates 2021, 1 and 3.2): with
the k-th lowest of n scores as the limit, k = ceil((n + 1)(1 - rate)), a further tumour-free study
passes it with a probability of at most `rate`, whatever the scores' distribution. The rate that
this one choice of n studies has in the long run is Beta(n + 1 - k, k) distributed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from scipy import stats

from agent import model_toml
from agent.errors import ConfigurationError
from agent.model_toml import ModelDescription
from storage.model_records import ThresholdSet

_CONFIDENCE = 0.95
_ROUNDING = 1e-9  # (n + 1)(1 - rate) is often whole but for the last bit


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One tumour-free study that the model has read. `patient` is the same for the same person."""

    name: str
    patient: str
    study_score: float
    slice_scores: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """A slice score that at most `rate` of tumour-free studies reach, with the 95 % interval of
    the rate that may come true, and how many of the `studies` reach it themselves."""

    slice: float
    rate: float
    low: float
    high: float
    studies: int
    passing: int

    @property
    def sentence(self) -> str:
        """The operating point in words."""
        return (
            f"at most {self.rate:g} of tumour-free studies pass (95 % interval of the rate "
            f"{self.low:.3f} to {self.high:.3f}), from {self.studies} studies"
        )


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A study that cannot be used, and why."""

    name: str
    reason: str


def parted(answers: Sequence[Scored | Refused]) -> tuple[list[Scored], list[Refused]]:
    """The studies that can be used, and the others."""
    scored = [one for one in answers if isinstance(one, Scored)]
    return scored, [one for one in answers if isinstance(one, Refused)]


def one_per_patient(scored: Sequence[Scored]) -> list[Scored]:
    """The first study of each patient: further ones of the same head would feign certainty."""
    first: dict[str, Scored] = {}
    for one in scored:
        first.setdefault(one.patient, one)
    return list(first.values())


def needed(rate: float) -> int:
    """How many studies a rate needs at least. Raises ConfigurationError for what is no rate."""
    if not 0 < rate < 1:
        raise ConfigurationError(
            f"A false-positive rate of {rate:g} is none: give a share between 0 and 1, such as "
            "0.05."
        )
    return math.ceil(1 / rate - _ROUNDING) - 1


def operating_point(study_scores: Sequence[float], rate: float) -> OperatingPoint:
    """The lowest slice score that keeps the rate. Raises ConfigurationError for too few studies."""
    count, least = len(study_scores), needed(rate)
    if count < least:
        raise ConfigurationError(
            f"A false-positive rate of {rate:g} needs at least {least} tumour-free studies of "
            f"different patients; {count} could be used. Bring more, or ask for a rate of "
            f"{1 / (count + 1):.2g} or more."
            if count
            else f"A false-positive rate of {rate:g} needs at least {least} tumour-free studies of "
            "different patients, and none could be used."
        )
    rank = math.ceil((count + 1) * (1 - rate) - _ROUNDING)
    limit = float(np.sort(study_scores)[rank - 1])
    # The verdict asks for a score of at least the threshold: the next number above the limit.
    chosen = math.nextafter(limit, math.inf)
    long_run = stats.beta(count + 1 - rank, rank)
    tail = (1 - _CONFIDENCE) / 2
    return OperatingPoint(
        slice=chosen,
        rate=rate,
        low=float(long_run.ppf(tail)),
        high=float(long_run.ppf(1 - tail)),
        studies=count,
        passing=sum(score >= chosen for score in study_scores),
    )


def thresholds(
    described: ModelDescription,
    scored: Sequence[Scored],
    point: OperatingPoint,
    *,
    by: str,
    why: str,
    now: datetime,
) -> ThresholdSet:
    """The model's thresholds with the site's slice threshold, and its scores behind p-values."""
    slices = tuple(sorted(score for one in scored for score in one.slice_scores if score > 0))
    studies = tuple(sorted(one.study_score for one in scored))
    own = described.thresholds
    version = model_toml.thresholds_version(
        own.pixel, point.slice, own.minimum_volume_ml, described.pattern, (slices, studies)
    )
    return ThresholdSet(
        model_name=described.name,
        model_version=described.version,
        version=version,
        pixel=own.pixel,
        slice=point.slice,
        minimum_volume_ml=own.minimum_volume_ml,
        slice_reference=slices,
        study_reference=studies,
        operating_point=f"slice: {point.sentence}; pixel and volume as before",
        study_count=point.studies,
        false_positive_rate=point.rate,
        rate_low=point.low,
        rate_high=point.high,
        made_at=now,
        made_by=by,
        why=why,
    )


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); the whole range where there is nothing."""
    if total == 0:
        return 0.0, 1.0
    found = stats.binomtest(count, total).proportion_ci(_CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)

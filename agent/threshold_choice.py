"""Thresholds chosen by a person: from numbers to a set that can be kept, or a reason why not."""

from datetime import datetime

import numpy as np

from agent import calibration, model_toml
from agent.errors import ConfigurationError
from agent.model_toml import ModelDescription
from storage.model_records import ThresholdSet

HIGHEST_PIXEL = 4.0  # anomaly maps lie below this


def by_hand(
    described: ModelDescription,
    before: ThresholdSet | None,
    *,
    share: float | None,
    slice_score: float | None,
    pixel: float | None,
    minimum_volume_ml: float | None,
    by: str,
    why: str,
    now: datetime,
) -> ThresholdSet:
    """What holds now, with other numbers; what is not named stays.

    `share` is that of the reference's tumour-free slices which may pass. Raises ConfigurationError
    for numbers outside their range and for a share that the reference is too small for.
    """
    if share is slice_score is pixel is minimum_volume_ml is None:
        raise ConfigurationError(
            "Name a threshold: a share such as 0.05, --slice-score, --pixel or --minimum-volume-ml."
        )
    if share is not None and slice_score is not None:
        raise ConfigurationError("Give a share or --slice-score, not both.")
    chosen, point = described.thresholds.slice, described.operating_point
    if share is not None:
        chosen = score_that_passes(described, share)
        point = f"slice: {share:g} of {len(described.slice_reference)} tumour-free slices pass"
    elif slice_score is not None:
        chosen = _checked("A slice score", slice_score, None)
        point = f"slice: score {slice_score:g}, set by hand"
    pixels = described.thresholds.pixel
    if pixel is not None:
        pixels = _checked("A pixel threshold", pixel, HIGHEST_PIXEL)
    volume_ml = described.thresholds.minimum_volume_ml
    if minimum_volume_ml is not None:
        volume_ml = _checked("A minimum volume in ml", minimum_volume_ml, 1000.0)
    own = (before.slice_reference, before.study_reference) if before else (None, None)
    references = (own[0], own[1]) if own[0] is not None and own[1] is not None else None
    return ThresholdSet(
        model_name=described.name,
        model_version=described.version,
        version=model_toml.thresholds_version(
            pixels, chosen, volume_ml, described.pattern, references
        ),
        pixel=pixels,
        slice=chosen,
        minimum_volume_ml=volume_ml,
        slice_reference=own[0],
        study_reference=own[1],
        operating_point=point,
        made_at=now,
        made_by=by,
        why=why,
    )


def score_that_passes(described: ModelDescription, share: float) -> float:
    """The slice score that the stated share of tumour-free slices reaches.

    The share itself is checked, and whether the reference is large enough: among n scores no share
    below 1 / (n + 1) can be told.
    """
    count = len(described.slice_reference)
    if not 0 < share < 1:
        raise ConfigurationError(
            f"A threshold of {share:g} is no share of tumour-free slices: give one between 0 and "
            "1, such as 0.05. A slice score goes with --slice-score."
        )
    least = calibration.needed(share)
    if count < least:
        raise ConfigurationError(
            f"{count} tumour-free slices are too few for a share of {share:g}: at least {least} "
            "are needed."
        )
    return float(np.quantile(described.slice_reference, 1 - share, method="higher"))


def _checked(what: str, value: float, highest: float | None) -> float:
    above = highest is not None and value >= highest
    if not np.isfinite(value) or value <= 0 or above:
        limit = f" and below {highest:g}" if highest is not None else ""
        raise ConfigurationError(f"{what} of {value:g} is out of range: it must be above 0{limit}.")
    return value

"""What an analysis returns: findings on the source grid, or the reason why there are none."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Reason(StrEnum):
    """Why a study was not analysed."""

    NO_SUITABLE_SERIES = "NO_SUITABLE_SERIES"
    NOT_A_HEAD = "NOT_A_HEAD"
    BAD_GEOMETRY = "BAD_GEOMETRY"
    UNREADABLE_PIXELS = "UNREADABLE_PIXELS"
    TECHNICAL_FAILURE = "TECHNICAL_FAILURE"


@dataclass(frozen=True, kw_only=True)
class NotAnalysed:
    """No result, and one plain sentence a radiologist can read."""

    reason: Reason
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Region:
    """One connected component of the mask; `number` is its value in `Findings.labels`.

    Regions are numbered from 1 by falling volume. `diameter_mm` is the largest distance inside one
    slice (on `slice_index`, where the region's area is largest); `centroid_mm` is in LPS mm.
    """

    number: int
    volume_ml: float
    diameter_mm: float
    centroid_mm: tuple[float, float, float]
    peak_score: float
    mean_score: float
    slice_index: int


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The model's answer for one volume, on the grid `[slice, row, column]` of that volume.

    `anomaly_map` is float32, 0 where nothing deviates; `pixel_threshold` is in its units.
    `labels` is uint16, 0 outside and a region's number inside. `slice_scores` and
    `slice_p_values` hold one value a slice; `slice_anomalous` says which passed the slice
    threshold. A study is abnormal exactly when `regions` is not empty.
    """

    anomaly_map: NDArray[np.float32]
    labels: NDArray[np.uint16]
    slice_scores: NDArray[np.float64]
    slice_p_values: NDArray[np.float64]
    slice_anomalous: NDArray[np.bool_]
    study_score: float
    study_p_value: float
    pixel_threshold: float
    regions: tuple[Region, ...]

    @property
    def abnormal(self) -> bool:
        """Whether anything was found."""
        return bool(self.regions)

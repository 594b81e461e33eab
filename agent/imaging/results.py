"""What an analysis returns: findings on the source grid, or the reason why there are none."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

NEAR_VENTRICLE_MM = 10.0


class Reason(StrEnum):
    """Why a study was not analysed."""

    NO_SUITABLE_SERIES = "NO_SUITABLE_SERIES"
    NOT_A_HEAD = "NOT_A_HEAD"
    BAD_GEOMETRY = "BAD_GEOMETRY"
    UNREADABLE_PIXELS = "UNREADABLE_PIXELS"
    UNFAMILIAR_IMAGES = "UNFAMILIAR_IMAGES"
    DRIFTED_SCANNER = "DRIFTED_SCANNER"
    TECHNICAL_FAILURE = "TECHNICAL_FAILURE"


@dataclass(frozen=True, kw_only=True)
class NotAnalysed:
    """No result, and one plain sentence a radiologist can read."""

    reason: Reason
    sentence: str


class Side(StrEnum):
    """On which side of the brain a region lies."""

    LEFT = "LEFT"
    RIGHT = "RIGHT"
    MIDLINE = "MIDLINE"  # a fifth of it or more on either side


class Level(StrEnum):
    """In which third of the brain's height the middle of a region lies."""

    UPPER = "UPPER"
    MIDDLE = "MIDDLE"
    LOWER = "LOWER"


class Pattern(StrEnum):
    """What the regions of a study look like together; never a diagnosis."""

    NONE = "NONE"  # no region
    MASS_LIKE = "MASS_LIKE"  # at least one region looks like a mass
    WHITE_MATTER = "WHITE_MATTER"  # regions, none of which does: small, near ventricles, symmetric


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What can be said about one region beyond its size.

    `extent_mm` is its height across slices, `thickness_mm` the diameter of the largest ball
    inside it, `compactness` its volume over that of a ball as wide as its widest slice (1 for a
    ball, towards 0 for threads). `asymmetry` is the share of it that no other region mirrors in the
    other half of the brain, `contrast` its brightness less that of its mirror image, as a share of
    brain tissue. `ventricle_mm` (smallest distance) and `near_ventricle` (share within
    `NEAR_VENTRICLE_MM`) are None where no ventricle is seen; `surface_mm` is the smallest distance
    to the brain's surface. `side` is the patient's.
    """

    extent_mm: float
    thickness_mm: float
    compactness: float
    asymmetry: float
    contrast: float
    ventricle_mm: float | None
    near_ventricle: float | None
    surface_mm: float
    side: Side | None = None
    level: Level | None = None


@dataclass(frozen=True, kw_only=True)
class Region:
    """One connected component of the mask; `number` is its value in `Findings.labels`.

    Regions are numbered from 1 by falling volume. `diameter_mm` is the largest distance inside one
    slice (on `slice_index`, where the region's area is largest); `centroid_mm` is in LPS mm.
    `mass_score` runs from 0 (white-matter disease) to 1 (mass); a region that was not described
    (`shape` is None) counts as mass-like, so that nothing is played down unseen.
    """

    number: int
    volume_ml: float
    diameter_mm: float
    centroid_mm: tuple[float, float, float]
    peak_score: float
    mean_score: float
    slice_index: int
    shape: Shape | None = None
    mass_score: float = 0.5
    mass_like: bool = True


@dataclass(frozen=True, kw_only=True)
class Spread:
    """All regions of a study together, weighted by volume.

    `largest_share` is the largest region's part of the volume, `symmetry` the share that another
    region mirrors in the other half, `near_ventricle` the share within `NEAR_VENTRICLE_MM` of a
    ventricle; None where no region could be described.
    """

    regions: int
    volume_ml: float
    largest_share: float
    symmetry: float | None
    near_ventricle: float | None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The model's answer for one volume, on the grid `[slice, row, column]` of that volume.

    `anomaly_map` is float32, 0 where nothing deviates; `pixel_threshold` is in its units.
    `labels` is uint16, 0 outside and a region's number inside. `slice_scores` and
    `slice_p_values` hold one value a slice; `slice_anomalous` says which passed the slice
    threshold. A study is abnormal exactly when `regions` is not empty. `remarks` are sentences on
    what limits the answer, such as a part of the brain that was not imaged.
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
    remarks: tuple[str, ...] = ()

    @property
    def abnormal(self) -> bool:
        """Whether anything was found."""
        return bool(self.regions)

    @property
    def pattern(self) -> Pattern:
        """Mass-like as soon as one region is."""
        if not self.regions:
            return Pattern.NONE
        mass_like = any(region.mass_like for region in self.regions)
        return Pattern.MASS_LIKE if mass_like else Pattern.WHITE_MATTER

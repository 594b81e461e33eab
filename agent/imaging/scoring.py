"""Turns what the network returns into an anomaly map, slice scores and p-values.

Everything here lies on the model grid [slice, row, column]; `findings` brings it to the source.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging import morphology
from agent.imaging.preprocess import ModelInput

MEDIAN_PIXELS = 5
ACROSS_SLICES_MM = 3.0  # deviation of the smoothing between slices: a lesion is no single slice
EDGE_MM = 2.5  # the brain's rim is marked by nobody: partial volume looks like a lesion
SCORE_EDGE_MM = 4.0  # and a wider one is scored by nobody: one bright vein must not raise a slice
USUAL_QUANTILE = 0.75  # of a volume's deviations: its usual one, which few tumours reach
LEAST_USUAL = 0.02  # keeps a volume without any deviation finite
TOP_SHARE = 0.02  # of a slice's brain: what the slice score averages
MIN_SLICE_CM2 = 8.0  # less brain than this has no score


class Kind(StrEnum):
    """What a network's answer can be measured by, in the order of `Maps.raw`."""

    RESIDUAL = "residual"  # how much brighter the slice is than its restoration
    STRUCTURE = "structure"  # 1 - structural similarity of the two (Wang et al. 2004)
    FEATURES = "features"  # how far the two lie apart in the discriminator's features
    MARKS = "marks"  # the network's own opinion of which voxels are foreign, 0 to 1


@dataclass(frozen=True, kw_only=True)
class Maps:
    """The network's answer in float32: `restoration` [n, size, size], and one map for each `Kind`.

    `raw` [n, kinds, size, size] is in the kind's own units (residual: brain tissue is 0.4);
    `deviations` is the same, smoothed, against what is usual at this place of tumour-free training
    brains, in standard deviations.
    """

    restoration: NDArray[np.float32]
    raw: NDArray[np.float32]
    deviations: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """Weights of the kinds in the anomaly map and in the slice score, in the order of `Kind`."""

    map_weights: tuple[float, ...]
    score_weights: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The smoothed anomaly map and one score a slice, on the model grid."""

    anomaly_map: NDArray[np.float32]
    slice_scores: NDArray[np.float64]


def score(maps: Maps, prepared: ModelInput, fusion: Fusion) -> Scores:
    """Fuses the maps, smooths them within and across slices, and scores each slice."""
    inside = morphology.eroded(prepared.brain, EDGE_MM, prepared.spacing_mm)
    spacing_mm = prepared.spacing_mm[0]
    raised = weighted(maps.raw, fusion.map_weights)
    raised = ndimage.median_filter(raised, size=(1, MEDIAN_PIXELS, MEDIAN_PIXELS))
    scored = morphology.eroded(prepared.brain, SCORE_EDGE_MM, prepared.spacing_mm)
    deviation = weighted(np.maximum(maps.deviations, 0), fusion.score_weights)
    deviation = against_usual(deviation, scored)
    return Scores(
        anomaly_map=across_slices(raised, inside, spacing_mm),
        slice_scores=top_means(across_slices(deviation, scored, spacing_mm), scored, prepared),
    )


def against_usual(deviation: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Deviations between absolute and relative: over the root of what is usual in this volume.

    A scan of unusual contrast deviates a little everywhere, and a soft one nowhere much.
    """
    if not inside.any():
        return deviation
    usual = float(np.quantile(deviation[inside], USUAL_QUANTILE))
    relative = deviation / np.float32(np.sqrt(usual + LEAST_USUAL))
    return np.asarray(relative, dtype=np.float32)


def weighted(maps: NDArray[np.float32], weights: Sequence[float]) -> NDArray[np.float32]:
    """The sum of all kinds [n, kinds, size, size] by weight."""
    total = np.einsum("nkhw,k->nhw", maps, np.asarray(weights, dtype=np.float32))
    return np.asarray(total, dtype=np.float32)


def across_slices(
    values: NDArray[np.float32], inside: NDArray[np.bool_], spacing_mm: float
) -> NDArray[np.float32]:
    """Mean over neighbouring slices of values of at least 0, of the voxels inside the brain only.

    A Gaussian mean of the roots, squared: a slice beside a bright tumour must not be called after
    its neighbour.
    """
    deviation = ACROSS_SLICES_MM / spacing_mm
    weight = inside.astype(np.float32)
    total = ndimage.gaussian_filter1d(np.sqrt(values) * weight, deviation, axis=0, mode="constant")
    count = ndimage.gaussian_filter1d(weight, deviation, axis=0, mode="constant")
    root = np.divide(total, count, out=np.zeros_like(total), where=inside)
    return np.asarray(np.square(root), dtype=np.float32)


def top_means(
    values: NDArray[np.float32], inside: NDArray[np.bool_], prepared: ModelInput
) -> NDArray[np.float64]:
    """Mean of the highest values of each slice, 0 where there is too little brain."""
    pixel_cm2 = prepared.spacing_mm[1] * prepared.spacing_mm[2] / 100
    scores = np.zeros(len(values))
    for index, (part, mask) in enumerate(zip(values, inside, strict=True)):
        if mask.sum() * pixel_cm2 >= MIN_SLICE_CM2:
            brain = np.sort(part[mask])
            scores[index] = float(brain[-max(1, round(TOP_SHARE * len(brain))) :].mean())
    return scores


def p_values(scores: NDArray[np.float64], reference: Sequence[float]) -> NDArray[np.float64]:
    """Split-conformal p-values: how rare such a score is among tumour-free references."""
    ordered = np.sort(np.asarray(reference, dtype=np.float64))
    at_least = len(ordered) - np.searchsorted(ordered, scores, side="left")
    return np.asarray((1 + at_least) / (len(ordered) + 1), dtype=np.float64)


def joined(parts: Sequence[Maps]) -> Maps:
    """Maps of consecutive batches as one."""
    return Maps(
        restoration=np.concatenate([part.restoration for part in parts]),
        raw=np.concatenate([part.raw for part in parts]),
        deviations=np.concatenate([part.deviations for part in parts]),
    )

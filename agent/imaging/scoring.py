"""Turns what the network returns into an anomaly map, slice scores and p-values.

Everything here lies on the model grid [slice, row, column]; `findings` brings it to the source.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging import morphology
from agent.imaging.preprocess import ModelInput

MEDIAN_PIXELS = 5
ACROSS_SLICES_MM = 4.0  # deviation of the smoothing between slices: a lesion is no single slice
EDGE_MM = 2.5  # the brain's rim is scored by nobody: partial volume looks like a lesion
TOP_SHARE = 0.01  # of a slice's brain: what the slice score averages
MIN_SLICE_CM2 = 8.0  # less brain than this has no score


@dataclass(frozen=True, kw_only=True)
class Maps:
    """The network's answer, each [slice, row, column] in float32.

    `residual` is input minus restoration in units where brain tissue is 0.4; `feature_distance`
    compares both as the discriminator sees them; the `_z` maps are the two, smoothed, against what
    is usual at this place of tumour-free training brains.
    """

    restoration: NDArray[np.float32]
    residual: NDArray[np.float32]
    feature_distance: NDArray[np.float32]
    residual_z: NDArray[np.float32]
    feature_z: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """Weights of the discriminator's part in the map and in the score; the residual's is 1."""

    map_feature_weight: float
    score_feature_weight: float


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The smoothed anomaly map and one score a slice, on the model grid."""

    anomaly_map: NDArray[np.float32]
    slice_scores: NDArray[np.float64]


def score(maps: Maps, prepared: ModelInput, fusion: Fusion) -> Scores:
    """Fuses the maps, smooths them within and across slices, and scores each slice."""
    inside = morphology.eroded(prepared.brain, EDGE_MM, prepared.spacing_mm)
    spacing_mm = prepared.spacing_mm[0]
    raised = np.maximum(maps.residual, 0) + fusion.map_feature_weight * maps.feature_distance
    raised = ndimage.median_filter(raised, size=(1, MEDIAN_PIXELS, MEDIAN_PIXELS))
    deviation = np.maximum(maps.residual_z, 0)
    deviation += np.float32(fusion.score_feature_weight) * np.maximum(maps.feature_z, 0)
    return Scores(
        anomaly_map=across_slices(raised, inside, spacing_mm),
        slice_scores=top_means(across_slices(deviation, inside, spacing_mm), inside, prepared),
    )


def across_slices(
    values: NDArray[np.float32], inside: NDArray[np.bool_], spacing_mm: float
) -> NDArray[np.float32]:
    """Gaussian mean over neighbouring slices, of the voxels inside the brain only."""
    deviation = ACROSS_SLICES_MM / spacing_mm
    weight = inside.astype(np.float32)
    total = ndimage.gaussian_filter1d(values * weight, deviation, axis=0, mode="constant")
    count = ndimage.gaussian_filter1d(weight, deviation, axis=0, mode="constant")
    mean = np.divide(total, count, out=np.zeros_like(total), where=inside)
    return np.asarray(mean, dtype=np.float32)


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
        residual=np.concatenate([part.residual for part in parts]),
        feature_distance=np.concatenate([part.feature_distance for part in parts]),
        residual_z=np.concatenate([part.residual_z for part in parts]),
        feature_z=np.concatenate([part.feature_z for part in parts]),
    )

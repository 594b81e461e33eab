"""Lesions found against false regions per study, over a sweep of the pixel threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model_training import detections, resampling
from model_training.metrics import Floats, Labels
from model_training.resampling import Interval, Weights

# Multiples of the frozen pixel threshold, from marking little to marking much.
STEPS = np.geomspace(8.0, 0.25, 31)
READ_AT = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)  # false regions per study


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One patient: lesions there, lesions found and false regions at each threshold."""

    lesions: int
    found: NDArray[np.int64]
    false_regions: NDArray[np.int64]


def sweep(
    anomaly_map: NDArray[np.float32],
    lesion: Labels,
    *,
    threshold: float,
    voxel_ml: float,
    minimum_volume_ml: float,
) -> Sweep:
    """Keeps the map's 3D pieces of the minimum volume at each threshold; a lesion is found with a
    tenth of its volume, a piece is false where it touches none."""
    box = around(anomaly_map > threshold * STEPS[-1])
    values, inside = anomaly_map[box], lesion[box]
    wanted = detections.pieces(lesion, voxel_ml)
    parts = [(int(part.sum()), part[box]) for part in wanted]
    found, wrong = [], []
    for step in STEPS:
        labels, _ = ndimage.label(values > threshold * step)
        kept = np.bincount(labels.ravel()) * voxel_ml >= minimum_volume_ml
        kept[0] = False
        right = np.zeros_like(kept)
        right[np.unique(labels[inside])] = True
        wrong.append(int((kept & ~right).sum()))
        found.append(sum(kept[labels[part]].sum() >= detections.HIT * size for size, part in parts))
    return Sweep(
        lesions=len(parts),
        found=np.array(found, dtype=np.int64),
        false_regions=np.array(wrong, dtype=np.int64),
    )


def around(marked: Labels) -> tuple[slice, ...]:
    """The smallest box around a mask: a sweep need not look at empty space."""
    boxes = ndimage.find_objects(marked.astype(np.int8))
    return tuple(boxes[0]) if boxes else (slice(0, 1),) * marked.ndim


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Sensitivity at rising numbers of false regions per study, with its interval."""

    name: str
    false_regions: tuple[float, ...]
    sensitivity: tuple[Interval, ...]
    mean_sensitivity: Interval


def curve(name: str, sweeps: Sequence[Sweep]) -> Curve:
    """Sensitivity read at fixed rates of false regions, and the mean of them."""
    whole = read(sweeps, resampling.everyone(len(sweeps)))
    drawn = read(sweeps, resampling.draw(len(sweeps)))
    return Curve(
        name=name,
        false_regions=READ_AT,
        sensitivity=tuple(
            resampling.around(float(value), column)
            for value, column in zip(whole[0], drawn.T, strict=True)
        ),
        mean_sensitivity=resampling.around(float(whole.mean()), drawn.mean(axis=1)),
    )


def read(sweeps: Sequence[Sweep], weights: Weights) -> Floats:
    """[draws, READ_AT]: the best sensitivity among thresholds with no more false regions."""
    found, rate = points(sweeps, weights)
    allowed = rate[:, None, :] <= np.array(READ_AT)[None, :, None]
    return np.asarray(np.where(allowed, found[:, None, :], 0.0).max(axis=2), dtype=np.float64)


def points(sweeps: Sequence[Sweep], weights: Weights) -> tuple[Floats, Floats]:
    """[draws, thresholds]: sensitivity, and false regions per study."""
    lesions = weights @ np.array([one.lesions for one in sweeps], dtype=np.float64)
    found = weights @ np.stack([one.found for one in sweeps])
    false_regions = weights @ np.stack([one.false_regions for one in sweeps])
    sensitivity = resampling.divided(found, np.repeat(lesions[:, None], len(STEPS), axis=1))
    return sensitivity, false_regions / weights.sum(axis=1)[:, None]

"""Lesions found against false regions per study, over a sweep of the pixel threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model_training.evaluation import detections, resampling
from model_training.evaluation.detections import Piece
from model_training.evaluation.metrics import Floats, Labels
from model_training.evaluation.resampling import Interval, Weights

# Multiples of the frozen pixel threshold, from marking much to marking little.
STEPS = np.geomspace(0.25, 8.0, 25)
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
    expected: Sequence[Piece],
    *,
    threshold: float,
    least_voxels: float,
) -> Sweep:
    """Keeps the map's 3D pieces of the least volume at each threshold; a piece is false with less
    than a tenth on lesions, a lesion is found with a tenth of its volume in the others."""
    numbered = np.zeros(lesion.shape, dtype=np.int32)
    for number, piece in enumerate(expected, start=1):
        numbered[piece.box][piece.mask] = number
    wanted = detections.HIT * np.array([piece.voxels for piece in expected])
    values, there = anomaly_map, lesion
    found, wrong = [], []
    for step in STEPS:
        # Each threshold looks only where the one below it found something.
        box = around(values > threshold * step)
        values, there, numbered = values[box], there[box], numbered[box]
        labels, _ = ndimage.label(values > threshold * step)
        kept = np.bincount(labels.ravel()) >= least_voxels
        kept[0] = False
        right = kept & detections.on_lesions(labels, there)
        wrong.append(int((kept & ~right).sum()))
        covered = np.bincount(numbered[right[labels]], minlength=len(expected) + 1)
        found.append(int((covered[1:] >= wanted).sum()))
    return Sweep(
        lesions=len(expected),
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

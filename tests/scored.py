"""Score sheets of drawn patients."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_training.evaluation.metrics import BINS, TOP
from model_training.evaluation.scoresheets import PatientScores, Scoresheet


def patient(
    scores: Sequence[float],
    areas: Sequence[int],
    *,
    name: str = "A",
    heights: Sequence[float] | None = None,
    counts: NDArray[np.int64] | None = None,
    slice_dice: Sequence[float] = (),
) -> PatientScores:
    """One patient; `areas` above 0 are slices with tumour."""
    return PatientScores(
        name=name,
        slices=np.arange(len(scores), dtype=np.int64),
        scores=np.array(scores, dtype=np.float64),
        areas=np.array(areas, dtype=np.int64),
        heights=np.array(heights or np.linspace(0, 1, len(scores)), dtype=np.float64),
        counts=np.zeros((2, BINS), dtype=np.int64) if counts is None else counts,
        slice_dice=np.array(slice_dice, dtype=np.float64),
    )


def sheet(
    *patients: PatientScores,
    name: str = "model",
    slice_threshold: float = 0.5,
    at_5_percent: float = 0.6,
    pixel_threshold: float | None = 0.5,
) -> Scoresheet:
    """A way of scoring over the given patients."""
    return Scoresheet(
        name=name,
        slice_threshold=slice_threshold,
        slice_threshold_at_5_percent=at_5_percent,
        pixel_threshold=pixel_threshold,
        patients=patients,
    )


def chance_sheet(patients: int = 6, *, seed: int = 0, name: str = "model") -> Scoresheet:
    """Patients of different sizes whose scores rise with tumour, but not always; many ties."""
    chance = np.random.default_rng(seed)
    made = []
    for number in range(patients):
        areas = np.maximum(chance.integers(-200, 300, 10 + 3 * number), 0)
        scores = np.round(chance.normal(0.4, 0.2, len(areas)) + 0.3 * (areas > 0), 1)
        made.append(
            patient(
                scores.tolist(),
                areas.tolist(),
                name=f"patient_{number}",
                counts=chance_counts(chance),
                slice_dice=chance.random(int((areas > 0).sum())).tolist(),
            )
        )
    return sheet(*made, name=name)


def chance_counts(chance: np.random.Generator) -> NDArray[np.int64]:
    """A histogram with something in some of its bins."""
    counts = np.zeros((2, BINS), dtype=np.int64)
    counts[:, :900:3] = chance.integers(0, 9, (2, 300))
    return counts


def pixel_counts(values: dict[float, tuple[int, int]]) -> NDArray[np.int64]:
    """A histogram from map value -> (pixels outside, pixels inside the lesion)."""
    counts = np.zeros((2, BINS), dtype=np.int64)
    for value, pair in values.items():
        counts[:, int(value * BINS / TOP)] += pair
    return counts

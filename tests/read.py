"""Readings of drawn subjects: a lesion in a small volume, and maps that find more or less of it."""

import numpy as np
from numpy.typing import NDArray

from model_training.calibrate import Frozen
from model_training.evaluation import detections, froc, scoresheets, studies
from model_training.evaluation.examine import MODEL
from model_training.evaluation.readings import Reading

SHAPE = (12, 32, 32)
SPACING_MM = (5.0, 1.0, 1.0)
VOXEL_ML = 0.005
EVERY_SLICE = np.ones(SHAPE[0], dtype=np.bool_)
POSITION, THRESHOLD = "slice position", "FLAIR threshold in the brain"
FROZEN = {
    MODEL: Frozen(sign=1, slice=0.5, slice_at_5_percent=0.4, pixel=0.5),
    POSITION: Frozen(sign=-1, slice=-0.5, slice_at_5_percent=-0.2, pixel=None),
    THRESHOLD: Frozen(sign=1, slice=0.5, slice_at_5_percent=0.4, pixel=0.5),
}


def subject(number: int, name: str, *, lesion: bool = True) -> dict[str, Reading]:
    """One subject under the model, a baseline with a map and one without."""
    chance = np.random.default_rng(number)
    mask = np.zeros(SHAPE, dtype=np.bool_)
    mask[4:8, 8:20, 8:20] = True
    good = np.where(mask, 0.8, 0.1) + chance.normal(0, 0.1, SHAPE)
    poor = np.where(mask, 0.5, 0.3) + chance.normal(0, 0.2, SHAPE)
    mask &= lesion
    heights = np.linspace(0, 1, SHAPE[0])
    return {
        MODEL: with_map(name, good, mask, score=float(good.max())),
        POSITION: Reading(scores=scores(name, -heights, mask, None)),
        THRESHOLD: with_map(name, poor, mask, score=None),
    }


def scores(
    name: str,
    values: NDArray[np.float64],
    mask: NDArray[np.bool_],
    anomaly_map: NDArray[np.float32] | None,
) -> scoresheets.PatientScores:
    """What is kept of slice scores."""
    return scoresheets.patient_scores(
        name,
        values,
        mask,
        evaluated=EVERY_SLICE,
        heights=np.linspace(0, 1, SHAPE[0]),
        anomaly_map=anomaly_map,
        pixel_threshold=0.5,
    )


def with_map(
    name: str, values: NDArray[np.float64], mask: NDArray[np.bool_], *, score: float | None
) -> Reading:
    """Everything that a map gives; only the model has a study score and p-values."""
    anomaly_map = values.astype(np.float32)
    of_slices = np.quantile(values, 0.95, axis=(1, 2))
    pieces = detections.pieces(mask, VOXEL_ML)
    regions = detections.kept_regions(anomaly_map, of_slices >= 0.5, threshold=0.5, least_voxels=20)
    marked = [
        detections.count(one, mask, pieces, evaluated=EVERY_SLICE, voxel_ml=VOXEL_ML)
        for one in (anomaly_map > 0.5, regions > 0)
    ]
    return Reading(
        scores=scores(name, of_slices, mask, anomaly_map),
        p_values=None if score is None else np.linspace(0.05, 1.0, SHAPE[0]),
        map_marks=marked[0],
        region_marks=marked[1],
        sweep=froc.sweep(anomaly_map, mask, pieces, threshold=0.5, least_voxels=20),
        study=studies.study(
            name, regions, mask, evaluated=EVERY_SLICE, spacing_mm=SPACING_MM, score=score
        ),
    )

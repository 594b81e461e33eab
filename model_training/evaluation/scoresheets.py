"""What the evaluation keeps of each patient under one way of scoring, in memory and on disk."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.evaluation.metrics import Floats, Labels, pixel_counts

FOLDER = "scoresheets"
HEADER = "header"


@dataclass(frozen=True, kw_only=True)
class PatientScores:
    """One patient. `slices` (their numbers), `scores`, `areas` and `heights` hold the evaluated
    slices in order.

    Higher scores speak for a tumour. `areas` are tumour pixels of the source image; `heights` run
    from 0 (lowest slice with brain) to 1. `counts` is `metrics.pixel_counts` of the whole volume
    and `slice_dice` the overlap at the frozen pixel threshold in each slice with tumour; both are
    empty where the way of scoring draws no map.
    """

    name: str
    slices: NDArray[np.int64]
    scores: Floats
    areas: NDArray[np.int64]
    heights: Floats
    counts: NDArray[np.int64]
    slice_dice: Floats

    @property
    def labels(self) -> Labels:
        """Which slices have tumour."""
        return self.areas > 0


@dataclass(frozen=True, kw_only=True)
class Scoresheet:
    """One way of scoring over one group of patients, with its frozen thresholds."""

    name: str
    slice_threshold: float
    slice_threshold_at_5_percent: float
    pixel_threshold: float | None
    patients: tuple[PatientScores, ...]


def patient_scores(
    name: str,
    slice_scores: Floats,
    lesion: Labels,
    *,
    evaluated: Labels,
    heights: Floats,
    anomaly_map: NDArray[np.float32] | None,
    pixel_threshold: float | None,
) -> PatientScores:
    """Condenses one patient; scores and heights are of all slices, the map is on their grid."""
    areas = np.asarray(lesion.sum(axis=(1, 2)), dtype=np.int64)
    counts, overlaps = np.zeros((2, 0), dtype=np.int64), np.zeros(0)
    if anomaly_map is not None and pixel_threshold is not None:
        counts = pixel_counts(anomaly_map, lesion)
        overlaps = slice_dice(anomaly_map > pixel_threshold, lesion)
    return PatientScores(
        name=name,
        slices=np.flatnonzero(evaluated).astype(np.int64),
        scores=np.asarray(slice_scores[evaluated], dtype=np.float64),
        areas=areas[evaluated],
        heights=np.asarray(heights[evaluated], dtype=np.float64),
        counts=counts,
        slice_dice=overlaps,
    )


def slice_dice(marked: Labels, lesion: Labels) -> Floats:
    """Overlap in each slice with tumour."""
    there = lesion.any(axis=(1, 2))
    common = (marked[there] & lesion[there]).sum(axis=(1, 2))
    total = marked[there].sum(axis=(1, 2)) + lesion[there].sum(axis=(1, 2))
    return np.asarray(2 * common / np.maximum(total, 1), dtype=np.float64)


ARRAYS = tuple(field.name for field in fields(PatientScores) if field.name != "name")


def path_of(inspection: Path, collection: str) -> Path:
    """Where the sheets of a collection lie below the folder of an evaluation."""
    return inspection / FOLDER / f"{collection}.npz"


def save(path: Path, sheets: Sequence[Scoresheet]) -> None:
    """Keeps the sheets of one group, so that models can be compared without running them again."""
    header = [
        {
            "name": sheet.name,
            "slice_threshold": sheet.slice_threshold,
            "slice_threshold_at_5_percent": sheet.slice_threshold_at_5_percent,
            "pixel_threshold": sheet.pixel_threshold,
            "patients": [patient.name for patient in sheet.patients],
        }
        for sheet in sheets
    ]
    arrays: dict[str, Any] = {
        f"{row}.{place}.{name}": getattr(patient, name)
        for row, sheet in enumerate(sheets)
        for place, patient in enumerate(sheet.patients)
        for name in ARRAYS
    }
    arrays[HEADER] = np.array(json.dumps(header))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as handle:
        np.savez_compressed(handle, **arrays)


def load(path: Path) -> dict[str, Scoresheet]:
    """The sheets of one group by their names."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: score the run with `neurosieve-train evaluate` first."
        )
    with np.load(path) as kept:
        header = json.loads(str(kept[HEADER]))
        return {
            entry["name"]: Scoresheet(
                **{key: value for key, value in entry.items() if key != "patients"},
                patients=tuple(
                    PatientScores(
                        name=name, **{part: kept[f"{row}.{place}.{part}"] for part in ARRAYS}
                    )
                    for place, name in enumerate(entry["patients"])
                ),
            )
            for row, entry in enumerate(header)
        }

"""Chooses weights and thresholds on the calibration split and freezes them.

The weights of the kinds of maps come from synthetic lesions alone (`fusion`). What is chosen with
expert labels of the calibration patients: the pixel threshold (highest pooled Dice) and the slice
threshold (highest accuracy). What is read from tumour-free calibration slices and subjects alone:
the p-values and the threshold that lets five per cent of tumour-free slices pass. The shortcut
classifier, a baseline, comes from the training patients' labels (`evaluation.metadata`).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent import model_toml
from agent.imaging.acceptance import NO_LIMITS, Limits
from agent.imaging.scoring import Fusion
from model_training import files, limits
from model_training.evaluation import examine, metadata, metrics
from model_training.evaluation.examine import Examined, Row
from model_training.evaluation.metadata import Shortcut

FILE_NAME = "calibration.json"
QUIET_SHARE = 0.001  # of the pixels of normal brain
MINIMUM_VOLUME_ML = 0.5  # about a 10 mm sphere: smaller regions were mostly noise
OPERATING_POINT = (
    "slice: highest accuracy on calibration patients; pixel: highest pooled Dice on calibration "
    "patients; minimum volume: a sphere of 10 mm"
)
QUIET_OPERATING_POINT = (
    "slice: 5 % of normal calibration slices pass; pixel: 0.1 % of their pixels; minimum volume: a "
    "sphere of 10 mm"
)


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """Thresholds of one way of scoring. `sign` -1 where low values speak for a tumour."""

    sign: int
    slice: float
    slice_at_5_percent: float
    pixel: float | None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """All that was chosen, and what it reached on the calibration patients."""

    fusion: Fusion
    rows: dict[str, Frozen]
    minimum_volume_ml: float
    slice_reference: tuple[float, ...]
    study_reference: tuple[float, ...]
    operating_point: str = OPERATING_POINT
    patients: int
    tumour_free_subjects: int
    synthetic: dict[str, float]
    """What the kinds and their fusion reach on synthetic lesions."""
    acceptance: Limits = NO_LIMITS
    """Which images the model may be asked about."""
    shortcut: Shortcut | None = None
    """None where there was nothing to learn it from, and in files of earlier versions."""


def calibrate(
    patients: Sequence[Examined],
    tumour_free: Sequence[Examined],
    learnt: tuple[Fusion, dict[str, float]],
    *,
    acceptance: Limits = NO_LIMITS,
    shortcut: Shortcut | None = None,
) -> Calibration:
    """A threshold for every way of scoring, with the fusion that `fusion.learn` found."""
    fusion, synthetic = learnt
    scored = [examine.rows(patient, fusion, shortcut) for patient in patients]
    frozen = {name: freeze(patients, [rows[name] for rows in scored]) for name in scored[0]}
    model = [rows[examine.MODEL] for rows in scored]
    scores, labels = pooled(patients, model)
    studies = [
        float(examine.model_row(subject, fusion).slice_scores.max()) for subject in tumour_free
    ]
    return Calibration(
        fusion=fusion,
        rows=frozen,
        minimum_volume_ml=MINIMUM_VOLUME_ML,
        slice_reference=tuple(round(float(score), 3) for score in np.sort(scores[~labels])),
        study_reference=tuple(round(score, 3) for score in sorted(studies)),
        operating_point=OPERATING_POINT if labels.any() else QUIET_OPERATING_POINT,
        patients=len(patients),
        tumour_free_subjects=len(tumour_free),
        synthetic=synthetic,
        acceptance=acceptance,
        shortcut=shortcut,
    )


def freeze(patients: Sequence[Examined], rows: Sequence[Row]) -> Frozen:
    """Sign and thresholds of one way of scoring.

    Without any drawn lesion the pixel threshold lets `QUIET_SHARE` of the marked pixels pass;
    without any abnormal slice the slice threshold is that of five per cent.
    """
    scores, labels = pooled(patients, rows)
    told = bool(labels.any() and not labels.all())
    sign = -1 if told and metrics.auroc(scores, labels) < 0.5 else 1
    at_5_percent = float(np.quantile((sign * scores)[~labels], 0.95))
    return Frozen(
        sign=sign,
        slice=metrics.best_accuracy_threshold(sign * scores, labels) if told else at_5_percent,
        slice_at_5_percent=at_5_percent,
        pixel=pixel_threshold(sum_counts(rows)) if rows[0].counts is not None else None,
    )


def pixel_threshold(counts: NDArray[np.int64]) -> float:
    """Of highest overlap with drawn lesions, or the one that few pixels of normal brain pass."""
    if counts[1].any():
        return metrics.best_dice_threshold(counts)
    inside = np.cumsum(counts[0, 1:]) / max(int(counts[0, 1:].sum()), 1)
    return float(np.searchsorted(inside, 1 - QUIET_SHARE) + 2) * metrics.TOP / metrics.BINS


def pooled(
    patients: Sequence[Examined], rows: Sequence[Row]
) -> tuple[metrics.Floats, metrics.Labels]:
    """Scores and labels of all evaluated slices."""
    scores = [row.slice_scores[one.evaluated] for one, row in zip(patients, rows, strict=True)]
    labels = [one.labels[one.evaluated] for one in patients]
    return np.concatenate(scores), np.concatenate(labels)


def sum_counts(rows: Sequence[Row]) -> NDArray[np.int64]:
    """The pixel counts of several subjects together."""
    return np.asarray(np.sum([row.counts for row in rows if row.counts is not None], axis=0))


def save(folder: Path, calibration: Calibration) -> None:
    """Freezes the choices beside the run."""
    values = asdict(calibration) | {"acceptance": limits.as_table(calibration.acceptance)}
    text = json.dumps(values, indent=1)
    files.write(folder / FILE_NAME, text + "\n")


def load(folder: Path) -> Calibration:
    """The frozen choices; without them nothing may be exported or tested."""
    path = folder / FILE_NAME
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: freeze the thresholds with `neurosieve-train calibrate` first."
        )
    values = json.loads(path.read_text(encoding="utf-8"))
    values["fusion"] = Fusion(**{use: tuple(row) for use, row in values["fusion"].items()})
    values["rows"] = {name: Frozen(**row) for name, row in values["rows"].items()}
    for key in ("slice_reference", "study_reference"):
        values[key] = tuple(values[key])
    values["acceptance"] = model_toml.acceptance(values.get("acceptance", {}))
    if values.get("shortcut") is not None:
        values["shortcut"] = metadata.restored(values["shortcut"])
    return Calibration(**values)

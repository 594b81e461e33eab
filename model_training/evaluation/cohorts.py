"""All figures of one group of patients, every way of scoring beside the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model_training.calibrate import Frozen
from model_training.evaluation import (
    comparison,
    detection_rates,
    froc,
    reliability,
    resampling,
    slice_figures,
    studies,
)
from model_training.evaluation.comparison import Difference, Drawn
from model_training.evaluation.detection_rates import SizeBin
from model_training.evaluation.detections import Marks
from model_training.evaluation.examine import MODEL
from model_training.evaluation.froc import Curve
from model_training.evaluation.metrics import Floats, Labels
from model_training.evaluation.readings import Reading, sheet
from model_training.evaluation.reliability import Meaning
from model_training.evaluation.resampling import Interval
from model_training.evaluation.studies import Alarms

FILE_NAME = "evaluation.json"

Readings = Mapping[str, Sequence[Reading]]  # by way of scoring, in the order of the patients


@dataclass(frozen=True, kw_only=True)
class Line:
    """One way of scoring; `figures` are those of slices and, where it draws a map, of pixels. The
    marks and what follows are empty where it draws none."""

    name: str
    figures: dict[str, Interval]
    map_marks: dict[str, Interval]
    region_marks: dict[str, Interval]
    sizes: tuple[SizeBin, ...]
    froc: Curve | None
    studies: Alarms | None
    model_less_this: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """One group of patients with a line for every way of scoring; the model's comes first."""

    name: str
    patients: int
    slices: int
    tumour_slices: int
    small_tumour_slices: int
    majority_accuracy: Interval
    lines: tuple[Line, ...]
    meanings: tuple[Meaning, ...]


def cohort(name: str, readings: Readings, frozen: Mapping[str, Frozen]) -> Cohort:
    """The figures of one group of patients with tumours or other lesions."""
    sheets = {row: sheet(row, frozen[row], part) for row, part in readings.items()}
    drawn = {row: comparison.figures(one) for row, one in sheets.items()}
    labels = [one.labels for one in sheets[MODEL].patients]
    together = np.concatenate(labels)
    return Cohort(
        name=name,
        patients=len(labels),
        slices=len(together),
        tumour_slices=int(together.sum()),
        small_tumour_slices=int(sum(small.sum() for small in slice_figures.small(sheets[MODEL]))),
        majority_accuracy=majority(labels),
        lines=tuple(line(row, part, drawn[row], drawn[MODEL]) for row, part in readings.items()),
        meanings=tuple(reliability.meanings(np.concatenate(p_values(readings)), together)),
    )


def majority(labels: Sequence[Labels]) -> Interval:
    """Accuracy of always giving the answer that is right more often in this group."""
    tumour = np.array([part.sum() for part in labels], dtype=np.float64)
    slices = np.array([len(part) for part in labels], dtype=np.float64)
    more = tumour if tumour.sum() > slices.sum() / 2 else slices - tumour
    return resampling.interval(resampling.ratio(more, slices), len(labels))


def line(
    name: str, readings: Sequence[Reading], drawn: Mapping[str, Drawn], model: Mapping[str, Drawn]
) -> Line:
    """All figures of one way of scoring, and the model's less them."""
    found = [one.study for one in readings if one.study is not None]
    sweeps = [one.sweep for one in readings if one.sweep is not None]
    region_marks = marks(readings, of_map=False)
    return Line(
        name=name,
        figures={figure: one.interval for figure, one in drawn.items()},
        map_marks=summary(marks(readings, of_map=True)),
        region_marks=summary(region_marks),
        sizes=tuple(detection_rates.by_size(region_marks)) if region_marks else (),
        froc=froc.curve(name, sweeps) if sweeps else None,
        studies=studies.alarms(studies.EVERYONE, found) if found else None,
        model_less_this=() if name == MODEL else tuple(comparison.differences([model], [drawn])),
    )


def marks(readings: Sequence[Reading], *, of_map: bool) -> list[Marks]:
    """The marks of all patients, none where a way of scoring draws no map."""
    parts = [one.map_marks if of_map else one.region_marks for one in readings]
    return [one for one in parts if one is not None]


def summary(found: Sequence[Marks]) -> dict[str, Interval]:
    """Detections by lesion, nothing of nothing."""
    return detection_rates.summary(found) if found else {}


def p_values(readings: Readings) -> list[Floats]:
    """The model's slice p-values of each patient."""
    return [one.p_values for one in readings[MODEL] if one.p_values is not None]

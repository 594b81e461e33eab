"""Picks the patients and slices that a reader should look at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from model_training.evaluation.scoresheets import PatientScores, Scoresheet

SLICES_A_KIND = 10
SLICES_A_PATIENT = 3  # of one kind, or one patient fills the page
PATIENTS_A_KIND = 2
NAN = float("nan")


class Failure(StrEnum):
    """How a slice went wrong."""

    MISSED = "missed"
    FALSE = "false"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One slice of one patient.

    `margin` is the score over the threshold: below 1 is silence. `slices_to_tumour` counts slices
    to the nearest one with tumour, 0 in it: false alarms beside a tumour often are none.
    """

    failure: Failure
    patient: int
    name: str
    slice: int
    score: float
    margin: float
    tumour_pixels: int
    slices_to_tumour: int | None
    height: float


def slices(sheet: Scoresheet, known_as: Mapping[str, str]) -> list[Case]:
    """The ten lowest scores with tumour, then the ten highest without, three a patient at most.

    `known_as` says what a report calls the patient of that name.
    """
    cases = [
        Case(
            failure=Failure.MISSED if area else Failure.FALSE,
            patient=number,
            name=known_as[one.name],
            slice=int(index),
            score=float(score),
            margin=float(score / sheet.slice_threshold) if sheet.slice_threshold > 0 else NAN,
            tumour_pixels=int(area),
            slices_to_tumour=distance(int(index), one),
            height=float(height),
        )
        for number, one in enumerate(sheet.patients)
        for index, score, area, height in zip(
            one.slices, one.scores, one.areas, one.heights, strict=True
        )
    ]
    missed = sorted((one for one in cases if one.tumour_pixels), key=lambda one: one.score)
    alarms = sorted((one for one in cases if not one.tumour_pixels), key=lambda one: -one.score)
    return few_each(missed) + few_each(alarms)


def distance(index: int, patient: PatientScores) -> int | None:
    """Slices to the nearest evaluated slice with tumour, None where there is none."""
    with_tumour = patient.slices[patient.labels]
    return int(np.abs(with_tumour - index).min()) if len(with_tumour) else None


def few_each(ranked: Iterable[Case]) -> list[Case]:
    """The first cases, no more than a few of one patient."""
    taken: dict[int, int] = {}
    kept: list[Case] = []
    for case in ranked:
        if taken.setdefault(case.patient, 0) < SLICES_A_PATIENT and len(kept) < SLICES_A_KIND:
            taken[case.patient] += 1
            kept.append(case)
    return kept


def patients(dice: Sequence[float]) -> dict[str, list[int]]:
    """The patients of best, median and worst overlap, none twice."""
    order = [int(place) for place in np.argsort(-np.asarray(dice), kind="stable")]
    size = min(PATIENTS_A_KIND, max(1, len(order) // 3))
    middle = max((len(order) - size) // 2, 0)
    groups = {
        "best": order[:size],
        "median": order[middle : middle + size],
        "worst": order[-size:],
    }
    seen: set[int] = set()
    for name, group in groups.items():
        groups[name] = [one for one in group if one not in seen]
        seen.update(groups[name])
    return groups

"""Detections over a group of patients: rates, and what becomes of lesions of each size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from model_training.evaluation import resampling
from model_training.evaluation.detections import HIT, Marks
from model_training.evaluation.metrics import Floats
from model_training.evaluation.resampling import Interval

SIZES_ML = (1.0, 10.0, 50.0)
SIZE_NAMES = ("< 1", "1-10", "10-50", "> 50")


def summary(marks: Sequence[Marks]) -> dict[str, Interval]:
    """Shares of patients with exact intervals; rates with intervals from drawing patients."""
    patients = len(marks)

    def rate(upper: Callable[[Marks], float], lower: Callable[[Marks], float]) -> Interval:
        figure = resampling.ratio(values(marks, upper), values(marks, lower))
        return resampling.interval(figure, patients)

    return {
        "tumours_hit": resampling.share(sum(one.covered >= HIT for one in marks), patients),
        "tumours_touched": resampling.share(sum(one.covered > 0 for one in marks), patients),
        "components_per_clean_slice": rate(
            lambda one: one.components, lambda one: one.clean_slices
        ),
        "clean_slices_that_fire": rate(lambda one: one.firing_slices, lambda one: one.clean_slices),
        "false_regions_per_study": rate(lambda one: one.false_regions, lambda _: 1.0),
        "lesions_found": rate(
            lambda one: sum(part.covered >= HIT for part in one.lesions),
            lambda one: len(one.lesions),
        ),
        "dice_pooled": rate(
            lambda one: 2 * one.common_voxels,
            lambda one: one.lesion_voxels + one.marked_voxels,
        ),
        "dice_patient_mean": rate(lambda one: one.dice, lambda _: 1.0),
    }


def values(marks: Sequence[Marks], of: Callable[[Marks], float]) -> Floats:
    """One number a patient."""
    return np.array([of(one) for one in marks], dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class SizeBin:
    """Lesions of one size: how many there are, the share found, their mean overlap."""

    name: str
    lesions: int
    found: Interval
    dice: Interval


def by_size(marks: Sequence[Marks]) -> list[SizeBin]:
    """Detection and overlap by lesion size."""
    bins = []
    for number, name in enumerate(SIZE_NAMES):
        chosen = [
            [part for part in one.lesions if np.digitize(part.volume_ml, SIZES_ML) == number]
            for one in marks
        ]
        counts = np.array([len(part) for part in chosen], dtype=np.float64)
        found = [float(sum(one.covered >= HIT for one in part)) for part in chosen]
        dice = [sum(one.dice for one in part) for part in chosen]
        bins.append(
            SizeBin(
                name=name,
                lesions=int(counts.sum()),
                found=resampling.interval(resampling.ratio(np.array(found), counts), len(marks)),
                dice=resampling.interval(resampling.ratio(np.array(dice), counts), len(marks)),
            )
        )
    return bins

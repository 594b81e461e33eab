"""Two models, or two ways of scoring, on the same patients: paired differences."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model_training import pixel_figures, resampling, slice_figures
from model_training.metrics import Floats
from model_training.resampling import Figure, Interval, Weights
from model_training.scoresheets import Scoresheet

SLICES = ("auroc", "average_precision", "accuracy", "sensitivity_at_5_percent", "auroc_small")
PIXELS = ("pixel_average_precision", "dice_pooled", "dice_patient_mean")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One figure of both, one value a seed, and the difference of the means over seeds.

    The interval is over patients, drawn alike for both; the seeds stay as they are, so their
    spread is to be read from the values.
    """

    figure: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    difference: Interval


def compare(ours: Sequence[Scoresheet], theirs: Sequence[Scoresheet]) -> list[Difference]:
    """Differences, ours less theirs; one sheet a seed, all of the same patients."""
    check(ours, theirs)
    figures: dict[str, Callable[[Scoresheet], Figure]] = {
        name: slice_figures.FIGURES[name] for name in SLICES
    }
    if all(sheet.pixel_threshold is not None for sheet in (*ours, *theirs)):
        figures |= {name: pixel_figures.FIGURES[name] for name in PIXELS}
    return differences(ours, theirs, figures)


def differences(
    ours: Sequence[Scoresheet],
    theirs: Sequence[Scoresheet],
    figures: Mapping[str, Callable[[Scoresheet], Figure]],
) -> list[Difference]:
    """One difference a figure, from the same draws of patients."""
    patients = len(ours[0].patients)
    once, drawn = resampling.everyone(patients), resampling.draw(patients)
    found = []
    for name, make in figures.items():
        first, second = ([make(sheet) for sheet in side] for side in (ours, theirs))
        value = mean_over_seeds(first, once) - mean_over_seeds(second, once)
        spread = mean_over_seeds(first, drawn) - mean_over_seeds(second, drawn)
        found.append(
            Difference(
                figure=name,
                ours=tuple(float(figure(once)[0]) for figure in first),
                theirs=tuple(float(figure(once)[0]) for figure in second),
                difference=resampling.around(float(value[0]), spread),
            )
        )
    return found


def mean_over_seeds(figures: Sequence[Figure], weights: Weights) -> Floats:
    """The mean of several models' figures in each draw."""
    return np.asarray(np.mean([figure(weights) for figure in figures], axis=0))


def check(ours: Sequence[Scoresheet], theirs: Sequence[Scoresheet]) -> None:
    """Raises where the sheets are not of the same patients in the same order."""
    if not ours or not theirs:
        raise ValueError("A comparison needs at least one evaluated run on each side.")
    names = {tuple(one.name for one in sheet.patients) for sheet in (*ours, *theirs)}
    if len(names) > 1:
        raise ValueError(
            "The runs were evaluated on different patients and cannot be paired: evaluate all of "
            "them with the same data and split."
        )

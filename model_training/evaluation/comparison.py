"""Two models, or two ways of scoring, on the same patients: paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model_training.evaluation import pixel_figures, resampling, slice_figures
from model_training.evaluation.metrics import Floats
from model_training.evaluation.resampling import Interval
from model_training.evaluation.scoresheets import Scoresheet

SLICES = ("auroc", "average_precision", "accuracy", "sensitivity_at_5_percent", "auroc_small")
PIXELS = ("pixel_average_precision", "dice_pooled", "dice_patient_mean")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One figure of one sheet: of all patients, and of each draw of patients."""

    value: float
    draws: Floats

    @property
    def interval(self) -> Interval:
        """The value with its interval."""
        return resampling.around(self.value, self.draws)


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


def figures(sheet: Scoresheet) -> dict[str, Drawn]:
    """Every figure of a sheet; those of pixels only where it draws a map."""
    makers = dict(slice_figures.FIGURES)
    if sheet.pixel_threshold is not None:
        makers |= pixel_figures.FIGURES
    once = resampling.everyone(len(sheet.patients))
    draws = resampling.draw(len(sheet.patients))
    found = {}
    for name, make in makers.items():
        figure = make(sheet)
        found[name] = Drawn(value=float(figure(once)[0]), draws=figure(draws))
    return found


def compare(ours: Sequence[Scoresheet], theirs: Sequence[Scoresheet]) -> list[Difference]:
    """Differences, ours less theirs; one sheet a seed, all of the same patients."""
    check(ours, theirs)
    return differences([figures(one) for one in ours], [figures(one) for one in theirs])


def differences(
    ours: Sequence[Mapping[str, Drawn]], theirs: Sequence[Mapping[str, Drawn]]
) -> list[Difference]:
    """Of every figure that all have; the draws must be of the same patients."""
    return [
        Difference(
            figure=name,
            ours=tuple(one[name].value for one in ours),
            theirs=tuple(one[name].value for one in theirs),
            difference=resampling.around(
                float(np.mean([one[name].value for one in ours]))
                - float(np.mean([one[name].value for one in theirs])),
                np.mean([one[name].draws for one in ours], axis=0)
                - np.mean([one[name].draws for one in theirs], axis=0),
            ),
        )
        for name in (*SLICES, *PIXELS)
        if all(name in one for one in (*ours, *theirs))
    ]


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

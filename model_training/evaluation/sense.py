"""What a model is worth on a collection without any lesion: restorations and synthetic lesions.

It shows that a model has learnt what is normal; it does not show that the model finds disease.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging import morphology, scoring
from agent.imaging.preprocess import MAX_VALUE, ModelInput
from agent.imaging.scoring import Kind, Maps
from model_training.calibrate import Calibration
from model_training.collection import Member
from model_training.data import SliceSet
from model_training.evaluation import (
    examine,
    metrics,
    pixel_figures,
    resampling,
    restorations,
    slice_figures,
    synthetic,
)
from model_training.evaluation.comparison import Drawn
from model_training.evaluation.examine import MODEL, Examined
from model_training.evaluation.resampling import Figure, Interval
from model_training.evaluation.restorations import Restoration
from model_training.evaluation.scoresheets import PatientScores, Scoresheet
from model_training.evaluation.synthetic import Family, Twin

Scored = tuple[NDArray[np.float32], NDArray[np.float64]]  # anomaly map, slice scores
Way = Callable[[ModelInput, Maps], Scored]
AUROC, PRECISION = "auroc", "pixel_average_precision"
FIGURES: dict[str, Callable[[Scoresheet], Figure]] = {
    AUROC: slice_figures.auroc,
    PRECISION: pixel_figures.average_precision,
    "best_dice": pixel_figures.best_dice,
}
FROZEN_FIGURES: dict[str, Callable[[Scoresheet], Figure]] = {
    "sensitivity_at_5_percent": slice_figures.sensitivity_at_5_percent,
    "false_positives_at_5_percent": slice_figures.false_positives_at_5_percent,
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One way of scoring on the synthetic lesions of one family; `model_less_this` on the same
    subjects, empty for the model."""

    family: Family
    name: str
    figures: dict[str, Interval]
    model_less_this: dict[str, Interval]


@dataclass(frozen=True, kw_only=True)
class Sense:
    """Everything of one group of healthy subjects."""

    subjects: int
    slices: int
    restorations: tuple[Restoration, ...]
    findings: tuple[Finding, ...]


def applies(members: Sequence[Member]) -> bool:
    """Whether all are known to be normal, so that there is nothing real to be found."""
    return bool(members) and all(member.abnormal is False for member in members)


def measure(
    subjects: Sequence[Examined],
    answer: Callable[[ModelInput], Maps],
    frozen: Calibration,
    training: SliceSet,
) -> Sense:
    """All figures; raises ValueError where no slice is large enough for a lesion."""
    twins = {family: synthetic.twins(subjects, answer, family) for family in Family}
    if not all(twins.values()):
        raise ValueError("No slice shows enough brain to put a synthetic lesion in.")
    return Sense(
        subjects=len(subjects),
        slices=sum(len(one.foreign) for one in twins[Family.BRIGHT]),
        restorations=tuple(restorations.measure(twins, training)),
        findings=tuple(
            finding for family, part in twins.items() for finding in findings(family, part, frozen)
        ),
    )


def findings(family: Family, twins: Sequence[Twin], frozen: Calibration) -> list[Finding]:
    """The model first, then each kind of map alone and the threshold on brightness."""
    drawn = {
        name: figures(sheet(name, twins, way, frozen))
        for name, way in ways(family, twins[0], frozen).items()
    }
    return [
        Finding(
            family=family,
            name=name,
            figures={figure: one.interval for figure, one in found.items()},
            model_less_this={} if name == MODEL else less(drawn[MODEL], found),
        )
        for name, found in drawn.items()
    ]


def ways(family: Family, example: Twin, frozen: Calibration) -> dict[str, Way]:
    """Every way of scoring by its name."""
    fusions = {MODEL: frozen.fusion}
    for number, kind in enumerate(Kind):
        if example.clean_maps.raw[:, number].any():
            fusions[f"{kind} alone"] = examine.alone(kind)
    found: dict[str, Way] = {name: by_model(fusion) for name, fusion in fusions.items()}
    bright = family is Family.BRIGHT
    name = "threshold on brightness" if bright else "threshold on darkness"
    return found | {name: lambda seen, _: by_brightness(seen, bright=bright)}


def by_model(fusion: scoring.Fusion) -> Way:
    """The shipped calculation."""

    def scored(seen: ModelInput, maps: Maps) -> Scored:
        scores = scoring.score(maps, seen, fusion)
        return scores.anomaly_map, scores.slice_scores

    return scored


def by_brightness(seen: ModelInput, *, bright: bool) -> Scored:
    """How bright or dark the brain is, its rim left out as in the model's own map."""
    inside = morphology.eroded(seen.brain, scoring.EDGE_MM, seen.spacing_mm)
    image = restorations.middle(seen)
    size = scoring.MEDIAN_PIXELS
    even = ndimage.median_filter(image, size=(1, size, size))
    values = np.where(inside, even if bright else MAX_VALUE - even, 0).astype(np.float32)
    return values, scoring.top_means(values, inside, seen)


def sheet(name: str, twins: Sequence[Twin], way: Way, frozen: Calibration) -> Scoresheet:
    """One way of scoring: every slice once untouched and once with a lesion."""
    kept = frozen.rows.get(name)
    unknown = float("nan")
    return Scoresheet(
        name=name,
        slice_threshold=unknown if kept is None else kept.slice,
        slice_threshold_at_5_percent=unknown if kept is None else kept.slice_at_5_percent,
        pixel_threshold=None if kept is None else kept.pixel,
        patients=tuple(subject_scores(one, way) for one in twins),
    )


def subject_scores(one: Twin, way: Way) -> PatientScores:
    """Untouched slices first, then the same with lesions."""
    clean_map, clean_scores = way(one.clean, one.clean_maps)
    map_, scores = way(one.damaged, one.damaged_maps)
    areas = one.foreign.sum(axis=(1, 2)).astype(np.int64)
    nothing = np.zeros_like(one.foreign)
    return PatientScores(
        name=one.name,
        slices=np.tile(np.arange(len(areas)), 2),
        scores=np.concatenate([clean_scores, scores]),
        areas=np.concatenate([np.zeros_like(areas), areas]),
        heights=np.tile(one.clean.positions.astype(np.float64), 2),
        counts=metrics.pixel_counts(clean_map, nothing) + metrics.pixel_counts(map_, one.foreign),
        slice_dice=np.zeros(0),
    )


def figures(found: Scoresheet) -> dict[str, Drawn]:
    """Every figure of a sheet; those at a frozen threshold where there is one."""
    makers = FIGURES if np.isnan(found.slice_threshold) else FIGURES | FROZEN_FIGURES
    once, draws = (make(len(found.patients)) for make in (resampling.everyone, resampling.draw))
    made = {name: make(found) for name, make in makers.items()}
    return {
        name: Drawn(value=float(figure(once)[0]), draws=figure(draws))
        for name, figure in made.items()
    }


def less(ours: dict[str, Drawn], theirs: dict[str, Drawn]) -> dict[str, Interval]:
    """Paired differences of the figures that need no threshold."""
    return {
        name: resampling.around(
            ours[name].value - theirs[name].value, ours[name].draws - theirs[name].draws
        )
        for name in FIGURES
    }

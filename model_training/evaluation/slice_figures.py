"""How well slice scores part slices with tumour from those without, as functions of draws."""

from collections.abc import Callable, Sequence

import numpy as np

from model_training.evaluation import curves, resampling
from model_training.evaluation.metrics import Floats, Labels
from model_training.evaluation.resampling import Figure, Weights
from model_training.evaluation.scoresheets import Scoresheet

SMALL_PIXELS = 100  # tumour area of a slice
HEIGHT_BINS = 10


def auroc(sheet: Scoresheet) -> Figure:
    """Probability that a slice with tumour scores higher than one without."""
    return ranked(sheet, [[patient.labels for patient in sheet.patients]])


def auroc_small(sheet: Scoresheet) -> Figure:
    """The same, of slices with less than 100 pixels of tumour."""
    return ranked(sheet, [small(sheet)])


def small(sheet: Scoresheet) -> list[Labels]:
    """Which slices of each patient have a little tumour."""
    return [patient.labels & (patient.areas < SMALL_PIXELS) for patient in sheet.patients]


def auroc_large(sheet: Scoresheet) -> Figure:
    """The same, of slices with at least 100 pixels of tumour."""
    return ranked(sheet, [[patient.areas >= SMALL_PIXELS for patient in sheet.patients]])


def auroc_height_matched(sheet: Scoresheet) -> Figure:
    """The same, between slices of the same tenth of the brain's height: no help from position."""
    tenths = [
        np.minimum((patient.heights * HEIGHT_BINS).astype(int), HEIGHT_BINS - 1)
        for patient in sheet.patients
    ]
    return ranked(
        sheet,
        [[patient.labels for patient in sheet.patients]] * HEIGHT_BINS,
        [[tenth == number for tenth in tenths] for number in range(HEIGHT_BINS)],
    )


def ranked(
    sheet: Scoresheet,
    positives: Sequence[Sequence[Labels]],
    strata: Sequence[Sequence[Labels]] | None = None,
) -> Figure:
    """AUROC of the given positives against all tumour-free slices, pairs within a stratum only."""
    every = [[np.ones(len(one.scores), dtype=np.bool_) for one in sheet.patients]]
    won, pairs = [], []
    for chosen, stratum in zip(positives, strata or every, strict=True):
        high = [
            one.scores[a & b] for one, a, b in zip(sheet.patients, chosen, stratum, strict=True)
        ]
        low = [one.scores[~one.labels & b] for one, b in zip(sheet.patients, stratum, strict=True)]
        won.append(wins(high, low))
        pairs.append(np.outer([len(part) for part in high], [len(part) for part in low]))
    all_won, all_pairs = np.sum(won, axis=0), np.sum(pairs, axis=0).astype(np.float64)
    return lambda weights: resampling.divided(
        quadratic(weights, all_won), quadratic(weights, all_pairs)
    )


def quadratic(weights: Weights, matrix: Floats) -> Floats:
    """w M w of each draw."""
    return np.asarray(((weights @ matrix) * weights).sum(axis=1), dtype=np.float64)


def wins(positives: Sequence[Floats], negatives: Sequence[Floats]) -> Floats:
    """[patients, patients]: how often a positive of one beats a negative of another; ties half."""
    owner = np.repeat(np.arange(len(positives)), [len(part) for part in positives])
    scores = np.concatenate(positives)
    columns = []
    for part in negatives:
        ordered = np.sort(part)
        beaten = np.searchsorted(ordered, scores, "left") + np.searchsorted(
            ordered, scores, "right"
        )
        columns.append(np.bincount(owner, beaten / 2, minlength=len(positives)))
    return np.stack(columns, axis=1)


def average_precision(sheet: Scoresheet) -> Figure:
    """Area under precision over recall, ties taken together."""

    def figure(weights: Weights) -> Floats:
        hits, misses = curves.above_thresholds(sheet, weights)
        precision = hits / np.maximum(hits + misses, 1)
        gained = np.diff(hits, axis=1, prepend=0.0)
        return resampling.divided((precision * gained).sum(axis=1), hits[:, -1])

    return figure


def accuracy(sheet: Scoresheet) -> Figure:
    """Share of slices on the right side of the frozen threshold."""
    right = [((one.scores >= sheet.slice_threshold) == one.labels).sum() for one in sheet.patients]
    return resampling.ratio(
        np.array(right, dtype=np.float64), np.array([len(one.scores) for one in sheet.patients])
    )


def sensitivity(sheet: Scoresheet) -> Figure:
    """Share of slices with tumour above the frozen threshold."""
    return fired(sheet, sheet.slice_threshold, with_tumour=True)


def specificity(sheet: Scoresheet) -> Figure:
    """Share of tumour-free slices below the frozen threshold."""
    alarms = fired(sheet, sheet.slice_threshold, with_tumour=False)
    return lambda weights: 1 - alarms(weights)


def sensitivity_at_5_percent(sheet: Scoresheet) -> Figure:
    """Share of slices with tumour above the threshold frozen at 5 % false positives."""
    return fired(sheet, sheet.slice_threshold_at_5_percent, with_tumour=True)


def false_positives_at_5_percent(sheet: Scoresheet) -> Figure:
    """The share of tumour-free slices that this threshold really lets through."""
    return fired(sheet, sheet.slice_threshold_at_5_percent, with_tumour=False)


def fired(sheet: Scoresheet, threshold: float, *, with_tumour: bool) -> Figure:
    """Share of slices of one kind at or above a threshold."""
    chosen = [one.scores[one.labels == with_tumour] for one in sheet.patients]
    return resampling.ratio(
        np.array([(part >= threshold).sum() for part in chosen], dtype=np.float64),
        np.array([len(part) for part in chosen], dtype=np.float64),
    )


FIGURES: dict[str, Callable[[Scoresheet], Figure]] = {
    "auroc": auroc,
    "average_precision": average_precision,
    "accuracy": accuracy,
    "sensitivity": sensitivity,
    "specificity": specificity,
    "sensitivity_at_5_percent": sensitivity_at_5_percent,
    "false_positives_at_5_percent": false_positives_at_5_percent,
    "auroc_small": auroc_small,
    "auroc_large": auroc_large,
    "auroc_height_matched": auroc_height_matched,
}

"""ROC and precision-recall curves with the band that drawing patients anew gives."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model_training.evaluation import resampling
from model_training.evaluation.metrics import Floats
from model_training.evaluation.resampling import Weights
from model_training.evaluation.scoresheets import Scoresheet

GRID = np.linspace(0, 1, 201)


@dataclass(frozen=True, kw_only=True)
class Band:
    """A curve over `GRID` with its 95 per cent band."""

    value: Floats
    low: Floats
    high: Floats


def roc(sheet: Scoresheet) -> Band:
    """Sensitivity over the false-positive rate."""

    def sensitivities(hits: Floats, misses: Floats) -> Floats:
        rate = np.concatenate([[0.0], misses / max(misses[-1], 1)])
        found = np.concatenate([[0.0], hits / max(hits[-1], 1)])
        return np.asarray(np.interp(GRID, rate, found), dtype=np.float64)

    return band(sheet, sensitivities)


def precision_recall(sheet: Scoresheet) -> Band:
    """Precision over recall."""

    def precisions(hits: Floats, misses: Floats) -> Floats:
        # At recall 0 the precision of the first hit.
        place = np.searchsorted(hits / max(hits[-1], 1), np.maximum(GRID - 1e-9, 1e-9))
        place = np.minimum(place, len(hits) - 1)
        return np.asarray(hits[place] / np.maximum(hits[place] + misses[place], 1))

    return band(sheet, precisions)


def band(sheet: Scoresheet, curve: Callable[[Floats, Floats], Floats]) -> Band:
    """A curve of slices with and without tumour above falling thresholds, draw by draw."""
    hits, misses = above_thresholds(sheet, resampling.everyone(len(sheet.patients)))
    drawn = above_thresholds(sheet, resampling.draw(len(sheet.patients)))
    curves = np.stack([curve(*pair) for pair in zip(*drawn, strict=True)])
    low, high = np.percentile(curves, (2.5, 97.5), axis=0)
    return Band(value=curve(hits[0], misses[0]), low=low, high=high)


def above_thresholds(sheet: Scoresheet, weights: Weights) -> tuple[Floats, Floats]:
    """[draws, distinct scores]: slices with and without tumour at or above each score."""
    owner = np.repeat(np.arange(len(sheet.patients)), [len(one.scores) for one in sheet.patients])
    scores = np.concatenate([one.scores for one in sheet.patients])
    labels = np.concatenate([one.labels for one in sheet.patients])
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    drawn = weights[:, owner[order]]
    hits = np.cumsum(drawn * labels[order], axis=1)[:, last]
    return hits, np.cumsum(drawn, axis=1)[:, last] - hits

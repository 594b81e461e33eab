"""How well a map covers the lesion, as functions of draws. Pixels are those of whole volumes."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model_training.evaluation import metrics, resampling
from model_training.evaluation.metrics import Floats
from model_training.evaluation.resampling import Figure, Weights
from model_training.evaluation.scoresheets import Scoresheet

DRAWS_AT_ONCE = 250  # keeps the cumulated histograms of many draws within 100 MB


def average_precision(sheet: Scoresheet) -> Figure:
    """Area under pixel precision over recall; a pixel outside the brain mask counts as missed."""

    def figure(negatives: Floats, positives: Floats) -> Floats:
        precision = positives / np.maximum(positives + negatives, 1)
        gained = np.diff(positives, axis=1, prepend=0.0)
        return resampling.divided((precision * gained).sum(axis=1), positives[:, -1])

    return over_thresholds(sheet, figure)


def best_dice(sheet: Scoresheet) -> Figure:
    """The overlap of the threshold that suits these very patients best: an upper bound."""

    def figure(negatives: Floats, positives: Floats) -> Floats:
        total = positives[:, -1:]
        # The last column marks every pixel there is.
        overlap = 2 * positives / np.maximum(positives + negatives + total, 1)
        return np.asarray(overlap[:, :-1].max(axis=1, initial=0.0), dtype=np.float64)

    return over_thresholds(sheet, figure)


def over_thresholds(sheet: Scoresheet, figure: Callable[[Floats, Floats], Floats]) -> Figure:
    """A figure of how many pixels lie above each threshold, [draws, thresholds], falling ones."""
    negatives, positives = stacked(sheet)

    def of_draws(weights: Weights) -> Floats:
        return np.concatenate(
            [
                figure(np.cumsum(part @ negatives, axis=1), np.cumsum(part @ positives, axis=1))
                for part in np.array_split(weights, max(1, len(weights) // DRAWS_AT_ONCE))
            ]
        )

    return of_draws


def stacked(sheet: Scoresheet) -> tuple[Floats, Floats]:
    """[patients, bins] outside and inside the lesion, highest bin first, empty bins left out."""
    counts = np.stack([one.counts for one in sheet.patients]).astype(np.float64)[:, :, ::-1]
    used = np.flatnonzero(counts.any(axis=(0, 1)))
    used = np.union1d(used, [counts.shape[2] - 1])  # the lowest bin, where every pixel is marked
    return counts[:, 0, used], counts[:, 1, used]


def dice_pooled(sheet: Scoresheet) -> Figure:
    """Overlap at the frozen threshold, the pixels of all patients together."""
    common, total = overlaps(sheet)
    return resampling.ratio(2 * common, total)


def dice_patient_mean(sheet: Scoresheet) -> Figure:
    """Overlap at the frozen threshold, each patient counting once."""
    common, total = overlaps(sheet)
    return resampling.mean(2 * common / np.maximum(total, 1))


def dice_slice_mean(sheet: Scoresheet) -> Figure:
    """Overlap at the frozen threshold, each slice with tumour counting once."""
    return resampling.ratio(
        np.array([one.slice_dice.sum() for one in sheet.patients]),
        np.array([len(one.slice_dice) for one in sheet.patients], dtype=np.float64),
    )


def overlaps(sheet: Scoresheet) -> tuple[Floats, Floats]:
    """Common pixels, and marked plus lesion pixels, of each patient at the frozen threshold."""
    if sheet.pixel_threshold is None:
        raise ValueError(f"{sheet.name} draws no map: it has no pixel threshold.")
    pairs = [overlap(one.counts, sheet.pixel_threshold) for one in sheet.patients]
    common, total = np.array(pairs, dtype=np.float64).T
    return common, total


def overlap(counts: NDArray[np.int64], threshold: float) -> tuple[int, int]:
    """Common pixels, and marked plus lesion pixels."""
    start = int(np.ceil(threshold * metrics.BINS / metrics.TOP))
    common = int(counts[1, start:].sum())
    return common, common + int(counts[0, start:].sum()) + int(counts[1].sum())


FIGURES: dict[str, Callable[[Scoresheet], Figure]] = {
    "pixel_average_precision": average_precision,
    "best_dice": best_dice,
    "dice_pooled": dice_pooled,
    "dice_patient_mean": dice_patient_mean,
    "dice_slice_mean": dice_slice_mean,
}

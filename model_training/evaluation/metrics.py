"""Figures of one set of scores or pixels; `resampling` gives them their intervals."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

BINS = 4000
TOP = 4.0  # anomaly maps lie below this

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]


def auroc(scores: Floats, labels: Labels) -> float:
    """Probability that a positive scores higher than a negative."""
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if positives == 0 or negatives == 0:
        return float("nan")
    ranks = rankdata(scores)
    wins = float(ranks[labels].sum()) - positives * (positives + 1) / 2
    return float(wins / (positives * negatives))


def average_precision(scores: Floats, labels: Labels) -> float:
    """Area under precision over recall, ties taken together."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    last = np.append(np.diff(scores[order]) != 0, True)
    precision = hits[last] / (np.flatnonzero(last) + 1)
    recall = hits[last] / max(int(labels.sum()), 1)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def accuracy(scores: Floats, labels: Labels, threshold: float) -> float:
    """Share of slices on the right side of a threshold."""
    return float(np.mean((scores >= threshold) == labels))


def rates(scores: Floats, labels: Labels, threshold: float) -> tuple[float, float]:
    """Sensitivity and false-positive rate at a threshold."""
    fires = scores >= threshold
    return float(fires[labels].mean()), float(fires[~labels].mean())


def best_accuracy_threshold(scores: Floats, labels: Labels) -> float:
    """The threshold of highest accuracy; the middle one where several tie."""
    distinct = np.unique(scores)
    candidates = np.append((distinct[:-1] + distinct[1:]) / 2, distinct[-1] + 1e-6)
    reached = np.array([accuracy(scores, labels, value) for value in candidates])
    best = candidates[reached >= reached.max() - 1e-12]
    return float(best[len(best) // 2])


def pixel_counts(values: NDArray[np.float32], lesion: Labels) -> NDArray[np.int64]:
    """[2, BINS] histogram of a map outside and inside the lesion: additive over patients."""
    place = np.clip(values.ravel() * (BINS / TOP), 0, BINS - 1).astype(np.int64)
    inside = lesion.ravel()
    return np.stack(
        [np.bincount(place[~inside], minlength=BINS), np.bincount(place[inside], minlength=BINS)]
    )


def pixel_average_precision(counts: NDArray[np.int64]) -> float:
    """Average precision over pixels from their histogram."""
    negatives, positives = (np.cumsum(row[::-1]) for row in counts)
    total = max(int(positives[-1]), 1)
    precision = positives / np.maximum(positives + negatives, 1)
    return float(np.sum(np.diff(positives, prepend=0) * precision) / total)


def dice(counts: NDArray[np.int64], threshold: float) -> float:
    """Overlap of `map > threshold` with the lesion."""
    start = int(np.ceil(threshold * BINS / TOP))
    hits = counts[1, start:].sum()
    marked = hits + counts[0, start:].sum()
    return float(2 * hits / max(marked + counts[1].sum(), 1))


def best_dice_threshold(counts: NDArray[np.int64]) -> float:
    """The threshold of highest pooled overlap."""
    negatives, positives = (np.cumsum(row[::-1])[::-1] for row in counts)
    overlap = 2 * positives / np.maximum(positives + negatives + counts[1].sum(), 1)
    return float(np.argmax(overlap[1:]) + 1) * TOP / BINS

"""Two models on the same stored studies: where they agree, how they score, which lesions differ."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import linear_sum_assignment

from storage.enums import Mark, Outcome
from storage.records import Analysis, Lesion, StudyKey

SAME_PLACE_MM = 20.0  # centroids closer than this are taken for the same lesion
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One revision as both models read it, and the newest mark of a radiologist."""

    key: StudyKey
    ours: Analysis
    theirs: Analysis
    our_lesions: tuple[Lesion, ...]
    their_lesions: tuple[Lesion, ...]
    mark: Mark | None


@dataclass(frozen=True, kw_only=True)
class LesionPair:
    """A lesion of one model beside that of the other at the same place; None where it has none."""

    key: StudyKey
    ours: Lesion | None
    theirs: Lesion | None


def agreement(pairs: Sequence[Pair]) -> dict[tuple[Outcome, Outcome], int]:
    """How often each pair of verdicts came, ours first."""
    return Counter((pair.ours.outcome, pair.theirs.outcome) for pair in pairs)


def agreeing(pairs: Sequence[Pair]) -> int:
    """How many verdicts are the same."""
    return sum(pair.ours.outcome is pair.theirs.outcome for pair in pairs)


def kappa(pairs: Sequence[Pair]) -> float | None:
    """Cohen's kappa (1960) of the verdicts; None where chance alone would agree always."""
    count = len(pairs)
    if count == 0:
        return None
    shares = [Counter(outcome) for outcome in zip(*_verdicts(pairs), strict=True)]
    by_chance = sum(shares[0][one] * shares[1][one] for one in Outcome) / count**2
    if by_chance == 1:
        return None
    return (agreeing(pairs) / count - by_chance) / (1 - by_chance)


def quantiles(scores: Sequence[float]) -> tuple[float, ...]:
    """Lowest, quarter, median, three quarters and highest score; none without any."""
    return tuple(float(one) for one in np.quantile(scores, QUANTILES)) if scores else ()


def correlation(pairs: Sequence[Pair]) -> float | None:
    """Spearman's rank correlation of the scores of studies that both analysed."""
    both = scores_of_both(pairs)
    if len(both) < 3 or any(len(set(side)) < 2 for side in zip(*both, strict=True)):
        return None
    ours, theirs = zip(*both, strict=True)
    return float(stats.spearmanr(ours, theirs).statistic)


def scores_of_both(pairs: Sequence[Pair]) -> list[tuple[float, float]]:
    """The scores of studies that both analysed, ours first."""
    return [
        (pair.ours.study_score, pair.theirs.study_score)
        for pair in pairs
        if pair.ours.study_score is not None and pair.theirs.study_score is not None
    ]


def against_marks(pairs: Sequence[Pair], *, theirs: bool) -> dict[Mark, tuple[int, int]]:
    """For each mark: how many of the studies so marked a model calls abnormal, and of how many."""
    found: dict[Mark, tuple[int, int]] = {}
    for pair in pairs:
        if pair.mark is not None:
            called, total = found.get(pair.mark, (0, 0))
            said = pair.theirs if theirs else pair.ours
            found[pair.mark] = called + (said.outcome is Outcome.ABNORMAL), total + 1
    return found


def lesions_side_by_side(pair: Pair) -> list[LesionPair]:
    """Every lesion of either model, the nearest ones together, ours by number first."""
    ours, theirs = pair.our_lesions, pair.their_lesions
    met: dict[int, int] = {}
    if ours and theirs:
        distance = np.linalg.norm(_centroids(ours)[:, None] - _centroids(theirs)[None], axis=2)
        rows, columns = linear_sum_assignment(np.minimum(distance, 10 * SAME_PLACE_MM))
        met = {
            int(row): int(column)
            for row, column in zip(rows, columns, strict=True)
            if distance[row, column] <= SAME_PLACE_MM
        }
    together = [
        LesionPair(key=pair.key, ours=one, theirs=theirs[met[row]] if row in met else None)
        for row, one in enumerate(ours)
    ]
    alone = [
        LesionPair(key=pair.key, ours=None, theirs=one)
        for column, one in enumerate(theirs)
        if column not in met.values()
    ]
    return together + alone


def _verdicts(pairs: Sequence[Pair]) -> list[tuple[Outcome, Outcome]]:
    return [(pair.ours.outcome, pair.theirs.outcome) for pair in pairs]


def _centroids(lesions: Sequence[Lesion]) -> np.ndarray:
    return np.array([lesion.centroid_mm for lesion in lesions])

"""Has a scanner changed? Its scores of one month against those of the calibration; no I/O.

Compared are the scores of a scanner-month, m of them, with those of the n tumour-free studies that
the thresholds rest on. Patients are not chosen: up to a share `a` of them may be abnormal and score
whatever they like. With F for the two empirical distributions,

    too high:  D+ = sup((1 - a) F_calibration - F_month), more high scores than the share explains
    too low:   D- = sup(F_month - F_calibration), more low scores than tumour-free studies have

The p-values are exact for the worst that is no drift. For D+ that is the whole share scoring above
everything; every other mixture has its scores lower and D+ smaller. For D- it is no abnormal study
at all, provided abnormal ones do not score lower than tumour-free ones; that is the two-sample test
of Smirnov. Then every order of the scores is equally likely, and the orders in which D reaches a
value are counted on a lattice of n x m steps (J. L. Hodges, "The significance probability of the
Smirnov two-sample test", Arkiv för Matematik 3, 1958, 469-486), one more sum over the number of
abnormal studies for D+. Ties only make D smaller.

Both directions share the significance, so that it holds for a scanner-month judged once, when it is
over: with ten scanners and 0.001 one false alarm in eight years at most. Asked after every study of
a month that fills, there are up to five times as many (tests/benchmarks/drift.py). Nothing is
divided by the number of scanner-months: what was alarming in May would otherwise be steady in June,
only because there is more to look at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

DIRECTIONS = 2
_ROUNDING = 1e-9  # of differences between fractions of whole numbers


class Verdict(StrEnum):
    """What the scores of a scanner-month say."""

    STEADY = "steady"
    TOO_HIGH = "too high"  # more high scores than the abnormal share explains
    TOO_LOW = "too low"  # lower than tumour-free studies score
    TOO_FEW = "too few studies"
    SMALL_REFERENCE = "reference too small"


ALARMING = frozenset({Verdict.TOO_HIGH, Verdict.TOO_LOW})


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When scores count as drifted. `minimum_studies` holds for the month and the calibration."""

    abnormal_share: float = 0.3
    significance: float = 0.001
    minimum_studies: int = 20


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """D+ and D- with the p-value of the more telling one, of both directions together."""

    verdict: Verdict
    too_high: float | None = None
    too_low: float | None = None
    p_value: float | None = None


def judge(scores: Sequence[float], reference: Sequence[float], rule: Rule) -> Judgement:
    """The scores of a scanner-month against those of the calibration."""
    if len(reference) < rule.minimum_studies:
        return Judgement(verdict=Verdict.SMALL_REFERENCE)
    if len(scores) < rule.minimum_studies:
        return Judgement(verdict=Verdict.TOO_FEW)
    too_high, too_low = differences(np.asarray(scores), np.asarray(reference), rule.abnormal_share)
    sizes = len(reference), len(scores)
    high, low = p_too_high(too_high, *sizes, rule.abnormal_share), p_too_low(too_low, *sizes)
    p_value = min(1.0, DIRECTIONS * min(high, low))
    verdict = Verdict.TOO_HIGH if high <= low else Verdict.TOO_LOW
    return Judgement(
        verdict=verdict if p_value <= rule.significance else Verdict.STEADY,
        too_high=too_high,
        too_low=too_low,
        p_value=p_value,
    )


def differences(
    scores: NDArray[np.float64], reference: NDArray[np.float64], abnormal_share: float
) -> tuple[float, float]:
    """D+ and D-."""
    known, seen = np.sort(reference), np.sort(scores)
    points = np.concatenate([known, seen])
    calibration = np.searchsorted(known, points, side="right") / len(known)
    month = np.searchsorted(seen, points, side="right") / len(seen)
    too_high = float(np.max((1 - abnormal_share) * calibration - month, initial=0.0))
    return too_high, float(np.max(month - calibration, initial=0.0))


@lru_cache(maxsize=4096)  # months that are over do not change
def p_too_high(height: float, n: int, m: int, abnormal_share: float) -> float:
    """How often D+ reaches a height where nothing has changed, at most."""
    if height <= 0:
        return 1.0
    reached = _reached(n, m, 1 - abnormal_share, 1.0, height)
    usual = stats.binom.pmf(np.arange(m + 1), m, 1 - abnormal_share)  # tumour-free studies
    return float(min(1.0, usual @ reached))


@lru_cache(maxsize=4096)  # months that are over do not change
def p_too_low(height: float, n: int, m: int) -> float:
    """How often D- reaches a height where nothing has changed, at most."""
    if height <= 0:
        return 1.0
    return float(_reached(n, m, -1.0, -1.0, height)[m])


def _reached(n: int, m: int, rise: float, fall: float, height: float) -> NDArray[np.float64]:
    """[m + 1]: among the orders of n and of 0, 1 ... m scores, the share in which
    `rise * i / n - fall * j / m` reaches the height after i and j of them.

    Cell (i, j) of the lattice is come to from (i - 1, j) in i of i + j orders, else from
    (i, j - 1); the cells of one diagonal are worked out together.
    """
    steps = np.arange(m + 1)
    shares = np.zeros(m + 1)  # by j, on the diagonal of i + j = total
    ends = np.zeros(m + 1)
    for total in range(n + m + 1):
        i = total - steps
        inside = (i >= 0) & (i <= n)
        if total:
            from_left = np.where((i >= 1) & (i <= n), shares * i, 0.0)
            from_below = np.concatenate([[0.0], shares[:-1]]) * steps
            shares = (from_left + from_below) / total
        beyond = rise * i / n - fall * steps / m >= height - _ROUNDING
        shares = np.where(inside, np.where(beyond, 1.0, shares), 0.0)
        at_end = i == n
        ends[at_end] = shares[at_end]
    return ends

"""Drift: exact against scipy, silent without drift, heard with it."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from agent import drift
from agent.drift import Rule, Verdict

MEDIAN, SPREAD = 3.65, 0.45


def drawn(chance: np.random.Generator, count: int, share: float = 0.0) -> NDArray[np.float64]:
    """Study scores; the abnormal ones score far above all others."""
    scores = chance.lognormal(np.log(MEDIAN), SPREAD, count)
    return np.where(chance.random(count) < share, 100.0, scores)


def verdict(scores: NDArray[np.float64], reference: NDArray[np.float64]) -> Verdict:
    return drift.judge(scores.tolist(), reference.tolist(), Rule()).verdict


@pytest.mark.parametrize(("n", "m"), [(20, 20), (30, 57), (100, 40), (25, 150)])
def test_without_abnormal_studies_it_is_the_test_of_smirnov(n: int, m: int) -> None:
    chance = np.random.default_rng(n * m)
    reference, month = drawn(chance, n), 1.3 * drawn(chance, m)
    high, low = drift.differences(month, reference, 0.0)
    for height, p_value, side in (
        (high, drift.p_too_high(high, n, m, 0.0), "less"),
        (low, drift.p_too_low(low, n, m), "greater"),
    ):
        known = stats.ks_2samp(month, reference, alternative=side, method="exact")
        assert height == pytest.approx(known.statistic)
        assert p_value == pytest.approx(known.pvalue, rel=1e-6)


def test_the_p_value_is_reached_as_often_as_it_says_in_the_worst_case() -> None:
    chance = np.random.default_rng(2)
    n, m, share, height = 30, 25, 0.3, 0.25
    draws = 4000
    reached = sum(
        drift.differences(drawn(chance, m, share), drawn(chance, n), share)[0] >= height
        for _ in range(draws)
    )
    expected = drift.p_too_high(height, n, m, share)
    assert 0.01 < expected < 0.5
    assert reached / draws == pytest.approx(expected, abs=4 * np.sqrt(expected / draws))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_abnormal_studies_up_to_the_share_are_no_drift(share: float) -> None:
    """1 in 1000 may alarm; 5 of 500 would be seen once in six thousand runs."""
    chance = np.random.default_rng(3)
    verdicts = [verdict(drawn(chance, 60, share), drawn(chance, 50)) for _ in range(500)]
    assert sum(one in drift.ALARMING for one in verdicts) < 5


@pytest.mark.parametrize(("factor", "expected"), [(2.0, Verdict.TOO_HIGH), (0.5, Verdict.TOO_LOW)])
def test_a_changed_gain_is_seen_within_a_hundred_studies(factor: float, expected: Verdict) -> None:
    chance = np.random.default_rng(4)
    seen = [verdict(factor * drawn(chance, 100, 0.1), drawn(chance, 50)) for _ in range(50)]
    assert seen.count(expected) >= 48


def test_more_abnormal_studies_than_the_share_are_drift() -> None:
    chance = np.random.default_rng(5)
    assert verdict(drawn(chance, 100, 0.8), drawn(chance, 100)) is Verdict.TOO_HIGH


@pytest.mark.parametrize(
    ("month", "reference", "expected"),
    [(19, 50, Verdict.TOO_FEW), (50, 10, Verdict.SMALL_REFERENCE)],
)
def test_with_too_few_studies_nothing_is_said(
    month: int, reference: int, expected: Verdict
) -> None:
    judged = drift.judge([1.0] * month, [1.0] * reference, Rule())
    assert (judged.verdict, judged.p_value) == (expected, None)


def test_equal_scores_are_steady() -> None:
    assert drift.judge([1.0] * 50, [1.0] * 50, Rule()).verdict is Verdict.STEADY

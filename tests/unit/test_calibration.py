"""A threshold from tumour-free studies keeps the rate that it promises, or is not given."""

from datetime import UTC, datetime

import numpy as np
import pytest

from agent import calibration, inference, model_toml
from agent.calibration import Refused, Scored
from agent.errors import ConfigurationError

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def scored(name: str, patient: str, score: float) -> Scored:
    return Scored(name=name, patient=patient, study_score=score, slice_scores=(0.0, score))


@pytest.mark.parametrize(
    ("rate", "least"), [(0.05, 19), (0.1, 9), (0.01, 99), (0.2, 4), (0.5, 1), (0.3, 3)]
)
def test_a_rate_needs_as_many_studies_as_can_tell_it(rate: float, least: int) -> None:
    assert calibration.needed(rate) == least
    scores = list(np.linspace(1, 2, least))
    assert calibration.operating_point(scores, rate).slice > max(scores) - 1e-9
    with pytest.raises(ConfigurationError, match=f"at least {least} "):
        calibration.operating_point(scores[1:], rate)


@pytest.mark.parametrize("rate", [2.0, 1.0, 0.0, -0.1, float("nan")])
def test_what_is_no_rate_is_refused(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="share between 0 and 1"):
        calibration.operating_point([1.0] * 50, rate)


def test_a_verdict_that_asks_for_at_least_the_threshold_does_not_call_the_limit_itself() -> None:
    point = calibration.operating_point([float(score) for score in range(19)], 0.05)
    assert point.slice > 18.0
    assert point.passing == 0


def test_equal_scores_never_pass_together() -> None:
    """With ties at the limit fewer may pass than were asked for, never more."""
    point = calibration.operating_point([1.0] * 30 + [2.0] * 10, 0.1)
    assert point.passing == 0


def test_the_rate_in_the_long_run_is_as_promised_and_its_interval_holds() -> None:
    """400 sites calibrate on 40 studies each; what passes is counted on 20,000 others."""
    chance = np.random.default_rng(7)
    rates: list[float] = []
    held = 0
    others = np.sort(chance.gamma(2.0, size=20_000))
    for _ in range(400):
        point = calibration.operating_point(list(chance.gamma(2.0, size=40)), 0.05)
        rate = 1 - float(np.searchsorted(others, point.slice)) / len(others)
        rates.append(rate)
        held += int(point.low <= rate <= point.high)
    assert np.mean(rates) <= 0.05
    assert np.mean(rates) > 0.04
    assert held / 400 == pytest.approx(0.95, abs=0.03)


def test_one_study_of_each_patient_counts() -> None:
    found = [scored("a1", "a", 1.0), scored("b1", "b", 2.0), scored("a2", "a", 3.0)]
    assert [one.name for one in calibration.one_per_patient(found)] == ["a1", "b1"]


def test_used_and_refused_studies_are_told_apart() -> None:
    one, other = scored("a", "a", 1.0), Refused(name="b", reason="not a head")
    assert calibration.parted([one, other]) == ([one], [other])


def test_the_set_carries_the_sites_own_reference_and_a_name_of_its_own() -> None:
    described = model_toml.describe(inference.default_folder())
    found = [scored(f"s{number}", f"p{number}", 1 + number / 10) for number in range(20)]
    point = calibration.operating_point([one.study_score for one in found], 0.1)
    made = calibration.thresholds(described, found, point, by="ada", why="new scanner", now=NOW)
    assert made.study_reference == tuple(sorted(one.study_score for one in found))
    assert made.slice_reference is not None
    assert min(made.slice_reference) > 0  # slices without brain say nothing
    assert made.pixel == described.thresholds.pixel
    assert made.version != described.thresholds.version
    assert (made.study_count, made.false_positive_rate) == (20, 0.1)

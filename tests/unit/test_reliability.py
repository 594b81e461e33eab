"""Whether p-values mean what they say."""

import numpy as np
import pytest

from model_training.evaluation import reliability


def test_a_subject_is_never_compared_with_itself() -> None:
    first, second = reliability.leave_one_out([np.array([5.0, 6.0]), np.array([1.0])])
    assert first.tolist() == [0.5, 0.5]  # above the only other score
    assert second.tolist() == [1.0]  # below both others


def test_scores_of_one_kind_give_p_values_that_hold() -> None:
    chance = np.random.default_rng(0)
    p_values = reliability.leave_one_out([chance.normal(size=60) for _ in range(12)])
    found = reliability.coverage("slices", p_values)
    for alpha, observed in zip(found.alphas, found.observed, strict=True):
        assert observed.value == pytest.approx(alpha, abs=0.01)


def test_a_group_that_scores_higher_falls_below_alpha_too_often() -> None:
    chance = np.random.default_rng(0)
    scores = [chance.normal(size=60) for _ in range(10)] + [chance.normal(2, 1, 60)]
    p_values = reliability.leave_one_out(scores)
    found = reliability.coverage("shifted", p_values[-1:])
    at = dict(zip(found.alphas, found.observed, strict=True))
    assert at[0.05].value > 0.3


def test_the_meaning_of_a_p_value_is_the_share_with_tumour_in_its_range() -> None:
    p_values = np.array([0.001, 0.01, 0.04, 0.9, 1.0])
    labels = np.array([True, True, False, False, False])
    found = reliability.meanings(p_values, labels)
    assert [one.slices for one in found] == [2, 1, 0, 0, 0, 2]
    assert found[0].with_tumour == 1.0
    assert np.isnan(found[2].with_tumour)
    assert found[-1].with_tumour == 0.0

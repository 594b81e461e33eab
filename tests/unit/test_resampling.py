"""Drawing patients anew."""

import numpy as np
import pytest

from model_training.evaluation import resampling


def test_every_draw_holds_as_many_patients_as_there_are() -> None:
    drawn = resampling.draw(7, draws=50)
    assert drawn.shape == (50, 7)
    assert (drawn.sum(axis=1) == 7).all()


def test_the_same_call_draws_the_same_patients() -> None:
    assert np.array_equal(resampling.draw(5), resampling.draw(5))


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(0).normal(10, 2, 400)
    found = resampling.interval(resampling.mean(values), 400)
    spread = values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - 1.96 * spread, abs=0.2 * spread)
    assert found.high == pytest.approx(values.mean() + 1.96 * spread, abs=0.2 * spread)


def test_draws_without_the_figure_are_left_out() -> None:
    figure = resampling.ratio(np.array([1.0, 0.0]), np.array([1.0, 0.0]))
    found = resampling.interval(figure, 2)
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_a_figure_that_no_draw_has_is_not_a_number() -> None:
    found = resampling.interval(resampling.ratio(np.zeros(3), np.zeros(3)), 3)
    assert np.isnan([found.value, found.low, found.high]).all()


def test_the_exact_interval_of_all_of_them_does_not_pretend_to_be_certain() -> None:
    found = resampling.share(16, 16)
    assert found.high == 1.0
    assert found.low == pytest.approx(0.025 ** (1 / 16))  # closed form when all are hits


def test_the_exact_interval_of_none_is_the_mirror_of_all() -> None:
    none, every = resampling.share(0, 10), resampling.share(10, 10)
    assert none.low == 0.0
    assert none.high == pytest.approx(1 - every.low)

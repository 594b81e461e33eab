"""Pixel figures of many draws at once are those of the histograms added up."""

import numpy as np
import pytest

import scored
from model_training.evaluation import metrics, pixel_figures, resampling
from model_training.evaluation.scoresheets import Scoresheet


def added(sheet: Scoresheet, weights: np.ndarray) -> np.ndarray:
    """The histogram of a draw."""
    counts = np.stack([one.counts for one in sheet.patients])
    return np.asarray(np.tensordot(weights.astype(int), counts, axes=1))


def test_average_precision_of_a_draw_is_that_of_its_pixels() -> None:
    sheet = scored.chance_sheet()
    drawn = resampling.draw(len(sheet.patients), draws=20)
    wanted = [metrics.pixel_average_precision(added(sheet, row)) for row in drawn]
    np.testing.assert_allclose(pixel_figures.average_precision(sheet)(drawn), wanted)


def test_best_dice_of_a_draw_takes_the_threshold_of_that_draw() -> None:
    sheet = scored.chance_sheet()
    drawn = resampling.draw(len(sheet.patients), draws=20)
    wanted = []
    for row in drawn:
        counts = added(sheet, row)
        wanted.append(metrics.dice(counts, metrics.best_dice_threshold(counts)))
    np.testing.assert_allclose(pixel_figures.best_dice(sheet)(drawn), wanted)


def test_best_dice_is_no_less_than_dice_at_any_frozen_threshold() -> None:
    sheet = scored.chance_sheet()
    once = resampling.everyone(len(sheet.patients))
    assert pixel_figures.best_dice(sheet)(once) >= pixel_figures.dice_pooled(sheet)(once)


def test_a_small_tumour_missed_counts_in_the_patient_mean_and_hardly_in_the_pool() -> None:
    found = scored.patient([1], [9], counts=scored.pixel_counts({0.9: (0, 990), 0.1: (0, 0)}))
    missed = scored.patient([1], [9], counts=scored.pixel_counts({0.1: (0, 10)}))
    sheet, once = scored.sheet(found, missed), resampling.everyone(2)
    assert pixel_figures.dice_pooled(sheet)(once) == pytest.approx(2 * 990 / 1990)
    assert pixel_figures.dice_patient_mean(sheet)(once) == pytest.approx(0.5)


def test_the_slice_mean_counts_each_slice_once() -> None:
    sheet = scored.sheet(
        scored.patient([1], [9], slice_dice=[1.0, 0.8, 0.6]),
        scored.patient([1], [9], slice_dice=[0.0]),
    )
    assert pixel_figures.dice_slice_mean(sheet)(resampling.everyone(2)) == pytest.approx(0.6)


def test_many_draws_in_parts_are_the_draws_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet, drawn = scored.chance_sheet(), resampling.draw(6, draws=40)
    whole = pixel_figures.average_precision(sheet)(drawn)
    monkeypatch.setattr(pixel_figures, "DRAWS_AT_ONCE", 7)
    np.testing.assert_array_equal(pixel_figures.average_precision(sheet)(drawn), whole)


def test_a_way_of_scoring_without_a_map_has_no_dice() -> None:
    with pytest.raises(ValueError, match="draws no map"):
        pixel_figures.dice_pooled(scored.sheet(scored.patient([1], [9]), pixel_threshold=None))

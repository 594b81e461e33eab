"""Slice figures of many draws at once are those of the slices drawn one by one."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

import scored
from model_training.evaluation import metrics, resampling, slice_figures
from model_training.evaluation.scoresheets import Scoresheet


def repeated(sheet: Scoresheet, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels with each patient as often as it was drawn."""
    times = weights.astype(int)
    scores = [np.tile(one.scores, n) for one, n in zip(sheet.patients, times, strict=True)]
    labels = [np.tile(one.labels, n) for one, n in zip(sheet.patients, times, strict=True)]
    return np.concatenate(scores), np.concatenate(labels)


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("auroc", lambda scores, labels: roc_auc_score(labels, scores)),
        ("average_precision", lambda scores, labels: average_precision_score(labels, scores)),
        ("accuracy", lambda scores, labels: metrics.accuracy(scores, labels, 0.5)),
        ("sensitivity", lambda scores, labels: metrics.rates(scores, labels, 0.5)[0]),
        ("specificity", lambda scores, labels: 1 - metrics.rates(scores, labels, 0.5)[1]),
        ("sensitivity_at_5_percent", lambda scores, labels: metrics.rates(scores, labels, 0.6)[0]),
        (
            "false_positives_at_5_percent",
            lambda scores, labels: metrics.rates(scores, labels, 0.6)[1],
        ),
    ],
)
def test_a_draw_is_the_figure_of_its_repeated_slices(
    name: str, figure: Callable[[np.ndarray, np.ndarray], float]
) -> None:
    sheet = scored.chance_sheet()
    drawn = resampling.draw(len(sheet.patients), draws=30)
    wanted = [figure(*repeated(sheet, row)) for row in drawn]
    np.testing.assert_allclose(slice_figures.FIGURES[name](sheet)(drawn), wanted)


def test_small_and_large_sections_meet_the_same_tumour_free_slices() -> None:
    sheet = scored.sheet(scored.patient([0.2, 0.1, 0.9], [0, 50, 500]))
    once = resampling.everyone(1)
    assert slice_figures.auroc_small(sheet)(once) == 0.0
    assert slice_figures.auroc_large(sheet)(once) == 1.0


def test_without_small_sections_their_auroc_is_not_a_number() -> None:
    sheet = scored.sheet(scored.patient([0.2, 0.9], [0, 500]))
    assert np.isnan(slice_figures.auroc_small(sheet)(resampling.everyone(1))).all()


def test_a_score_that_only_knows_the_height_is_worth_nothing_among_slices_of_that_height() -> None:
    heights = [0.05] * 10 + [0.95] * 10
    areas = [0] * 8 + [200] * 2 + [0] * 2 + [200] * 8
    sheet = scored.sheet(scored.patient(heights, areas, heights=heights))
    once = resampling.everyone(1)
    assert slice_figures.auroc(sheet)(once) == pytest.approx(0.8)
    assert slice_figures.auroc_height_matched(sheet)(once) == pytest.approx(0.5)

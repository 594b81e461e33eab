"""ROC and precision-recall with bands."""

import numpy as np
import pytest
from sklearn.metrics import roc_curve

import scored
from model_training.evaluation import curves


def test_the_roc_passes_through_the_points_of_the_definition() -> None:
    sheet = scored.chance_sheet()
    scores = np.concatenate([one.scores for one in sheet.patients])
    labels = np.concatenate([one.labels for one in sheet.patients])
    rate, sensitivity, _ = roc_curve(labels, scores)
    wanted = np.interp(curves.GRID, rate, sensitivity)
    np.testing.assert_allclose(curves.roc(sheet).value[1:], wanted[1:])


def test_the_band_holds_the_curve() -> None:
    found = curves.roc(scored.chance_sheet(12))
    inside = (found.low - 0.02 <= found.value) & (found.value <= found.high + 0.02)
    assert inside.all()


def test_precision_at_full_recall_is_the_share_with_tumour_when_the_lowest_slice_has_it() -> None:
    sheet = scored.sheet(scored.patient([0.9, 0.5, 0.1], [90, 0, 90]))
    found = curves.precision_recall(sheet)
    assert found.value[-1] == pytest.approx(2 / 3)
    assert found.value[0] == 1.0

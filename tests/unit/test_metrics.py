"""Figures of one set of scores or pixels, against their definitions."""

import numpy as np
import pytest

from model_training.evaluation import metrics


def test_auroc_counts_a_tie_half() -> None:
    scores, labels = np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True])
    assert metrics.auroc(scores, labels) == pytest.approx(3.5 / 4)


def test_auroc_of_one_kind_of_slices_is_not_a_number() -> None:
    assert np.isnan(metrics.auroc(np.array([0.1, 0.2]), np.array([True, True])))


def test_average_precision_takes_ties_together() -> None:
    scores, labels = np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True])
    assert metrics.average_precision(scores, labels) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_the_best_accuracy_threshold_lies_between_the_classes() -> None:
    scores, labels = np.array([0.1, 0.2, 0.6, 0.9]), np.array([False, False, True, True])
    assert 0.2 < metrics.best_accuracy_threshold(scores, labels) <= 0.6


def test_the_best_dice_threshold_parts_what_can_be_parted() -> None:
    values = np.array([0.1, 0.3, 0.5, 0.7], dtype=np.float32)
    counts = metrics.pixel_counts(values, np.array([False, False, True, True]))
    threshold = metrics.best_dice_threshold(counts)
    assert 0.3 < threshold <= 0.5
    assert metrics.dice(counts, threshold) == pytest.approx(1.0)


def test_values_beyond_the_histogram_stay_in_its_last_bin() -> None:
    counts = metrics.pixel_counts(np.array([99.0], dtype=np.float32), np.array([True]))
    assert counts[1, -1] == 1
    assert counts.sum() == 1

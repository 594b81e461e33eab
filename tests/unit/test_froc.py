"""Lesions found over false regions per study."""

import numpy as np
import pytest

from model_training.evaluation import detections, froc
from model_training.evaluation.froc import Sweep

SHAPE = (10, 40, 40)
LESION = np.s_[2:6, 10:20, 10:20]


def swept(**values: float) -> Sweep:
    """A map with the lesion and a false place at the given multiples of the threshold 1."""
    lesion = np.zeros(SHAPE, dtype=np.bool_)
    lesion[LESION] = True
    anomaly_map = np.full(SHAPE, values.get("background", 0.0), dtype=np.float32)
    anomaly_map[LESION] = values["lesion"]
    anomaly_map[7:9, 30:36, 30:36] = values["false"]
    pieces = detections.pieces(lesion, 0.005)
    return froc.sweep(anomaly_map, lesion, pieces, threshold=1.0, least_voxels=20)


def test_a_lesion_brighter_than_every_false_place_is_found_without_one() -> None:
    curve = froc.curve("map", [swept(lesion=3.0, false=0.5)])
    assert curve.sensitivity[0].value == 1.0


def test_a_lesion_darker_than_a_false_place_costs_one_false_region() -> None:
    curve = froc.curve("map", [swept(lesion=0.5, false=3.0)])
    at = dict(zip(curve.false_regions, curve.sensitivity, strict=True))
    assert at[0.5].value == 0.0
    assert at[1.0].value == 1.0


def test_marking_everything_finds_nothing() -> None:
    found = swept(lesion=2.0, false=2.0, background=2.0)
    assert found.found.max() == 0
    assert found.false_regions.max() == 1


def test_pieces_below_the_least_volume_count_for_nothing() -> None:
    lesion = np.zeros(SHAPE, dtype=np.bool_)
    lesion[LESION] = True
    anomaly_map = np.zeros(SHAPE, dtype=np.float32)
    anomaly_map[0, :2, :2] = anomaly_map[2, 10:12, 10:12] = 3.0
    pieces = detections.pieces(lesion, 0.005)
    found = froc.sweep(anomaly_map, lesion, pieces, threshold=1.0, least_voxels=20)
    assert found.false_regions.max() == 0
    assert found.found.max() == 0


def test_a_map_of_nothing_is_swept_without_finding_anything() -> None:
    empty = swept(lesion=0.0, false=0.0)
    assert (empty.lesions, empty.found.max(), empty.false_regions.max()) == (1, 0, 0)


def test_the_curve_never_falls_with_more_false_regions() -> None:
    chance = np.random.default_rng(1)
    sweeps = [
        Sweep(
            lesions=2,
            found=chance.integers(0, 3, len(froc.STEPS)),
            false_regions=chance.integers(0, 6, len(froc.STEPS)),
        )
        for _ in range(5)
    ]
    values = [one.value for one in froc.curve("map", sweeps).sensitivity]
    assert values == sorted(values)
    assert froc.curve("map", sweeps).mean_sensitivity.value == pytest.approx(np.mean(values))

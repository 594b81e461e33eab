"""Mask operations against the distance transforms and fillings that define them."""

import numpy as np
import pytest
from scipy import ndimage

from agent.imaging import morphology
from agent.imaging.morphology import Mask

SPACINGS = [
    (5.0, 0.9375, 0.9375),
    (5.0, 1.0, 1.0),
    (3.0, 0.8, 0.8),
    (5.0, 0.47, 1.3),
    (2.0, 2.5, 2),
]


def blobs(seed: int, shape: tuple[int, int, int] = (9, 40, 53)) -> Mask:
    """Some pieces with holes, a few of them at the border; one slice is empty, one full."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    mask: Mask = ndimage.gaussian_filter(noise, (0, 2.5, 2.5)) > 0
    mask[1], mask[2] = False, True
    return mask


def slow_dilated(mask: Mask, radius_mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    """By the distance of every pixel from the mask."""
    away = [
        ndimage.distance_transform_edt(~part, sampling=spacing_mm[1:])
        if part.any()
        else np.full(part.shape, np.inf)
        for part in mask
    ]
    return np.asarray(np.stack(away) <= radius_mm)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("radius_mm", [0.3, 2.0, 4.0, 5.0, 8.0, 100.0])
def test_grown_and_shrunk_masks_end_where_the_distance_says(
    spacing_mm: tuple[float, float, float], radius_mm: float
) -> None:
    for seed in range(3):
        mask = blobs(seed)
        grown = morphology.dilated(mask, radius_mm, spacing_mm)
        assert np.array_equal(grown, slow_dilated(mask, radius_mm, spacing_mm))
        shrunk = morphology.eroded(mask, radius_mm, spacing_mm)
        assert np.array_equal(shrunk, morphology.depth_mm(mask, spacing_mm) > radius_mm)


def test_no_slices_stay_no_slices() -> None:
    nothing = np.zeros((0, 8, 8), dtype=np.bool_)
    assert morphology.opened(nothing, 2.0, (5.0, 1.0, 1.0)).shape == (0, 8, 8)


def test_holes_of_each_slice_are_filled_and_bays_are_not() -> None:
    for seed in range(3):
        mask = blobs(seed)
        slow = np.stack([ndimage.binary_fill_holes(part) for part in mask])
        assert np.array_equal(morphology.filled(mask), slow)
    assert not np.array_equal(morphology.filled(mask), mask)


def test_the_depth_in_a_volume_is_the_distance_from_what_is_beside_it() -> None:
    mask = np.zeros((7, 30, 34), dtype=np.bool_)
    mask[2:, 4:20, 9:] = ~blobs(1, (5, 16, 25))
    spacing_mm = (5.0, 0.9, 1.1)
    slow = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    assert np.array_equal(morphology.depth_in_volume_mm(mask, spacing_mm), slow)

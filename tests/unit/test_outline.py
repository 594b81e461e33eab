"""Outlines run along pixel edges and enclose exactly the region."""

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.imaging import outline


def enclosed(points: NDArray[np.float64]) -> float:
    x, y = points.T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2.0)


def test_one_pixel_is_outlined_by_its_four_corners() -> None:
    mask = np.zeros((5, 6), dtype=bool)
    mask[2, 3] = True
    points = outline.largest(mask)
    assert {tuple(point) for point in points} == {(3, 2), (4, 2), (4, 3), (3, 3)}
    assert points[0].tolist() == points[-1].tolist()


def test_the_outline_of_a_disc_encloses_its_pixels() -> None:
    rows, columns = np.indices((40, 50))
    mask = (rows - 18) ** 2 + (columns - 30) ** 2 <= 11**2
    assert enclosed(outline.largest(mask)) == mask.sum()


def test_a_region_that_touches_every_border_is_closed() -> None:
    mask = np.ones((4, 7), dtype=bool)
    assert enclosed(outline.largest(mask)) == 28


def test_the_largest_of_several_parts_is_outlined() -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[1:3, 1:3] = mask[10:15, 8:16] = True
    points = outline.largest(mask)
    assert enclosed(points) == 40
    assert points.min(axis=0).tolist() == [8, 10]


def test_parts_that_meet_at_a_corner_are_kept_apart() -> None:
    mask = np.zeros((8, 8), dtype=bool)
    mask[1:3, 1:3] = mask[3:6, 3:6] = True
    assert enclosed(outline.largest(mask)) == 9


def test_a_hole_does_not_break_the_outer_line() -> None:
    mask = np.zeros((9, 9), dtype=bool)
    mask[1:8, 1:8] = True
    mask[3:5, 3:5] = False
    assert enclosed(outline.largest(mask)) == 49


def test_an_empty_mask_has_no_outline() -> None:
    with pytest.raises(ValueError, match="empty mask"):
        outline.largest(np.zeros((3, 3), dtype=bool))

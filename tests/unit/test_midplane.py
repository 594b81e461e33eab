"""The plane between the halves of the brain, however the head lies."""

import numpy as np
import pytest

import drawn_brain
from agent.imaging import midplane


def found(**lie: float) -> midplane.Midplane:
    where = drawn_brain.places(**lie)  # type: ignore[arg-type]
    view = drawn_brain.draw(where)
    return midplane.find(view.slices[:, 0], view.brain, view.spacing_mm)


@pytest.mark.parametrize(("degrees", "moved_mm"), [(0.0, 0.0), (8.0, 5.0), (-6.0, -7.0)])
def test_the_plane_is_found_however_the_head_lies(degrees: float, moved_mm: float) -> None:
    plane = found(turned_degrees=degrees, moved_mm=moved_mm)
    middle = (np.array(drawn_brain.SHAPE) - 1) / 2 * drawn_brain.SPACING_MM
    on_plane = middle + np.array([0.0, 0.0, moved_mm])
    assert plane.left_mm(on_plane[None]) == pytest.approx(0.0, abs=1.5)
    assert np.rad2deg(np.arctan(plane.row_slope)) == pytest.approx(degrees, abs=1.5)


def test_a_bright_lesion_does_not_pull_the_plane() -> None:
    where = drawn_brain.places()
    lesion = drawn_brain.ellipsoid(where, (10, 20, 35), (20, 20, 20))
    view = drawn_brain.draw(where, [lesion])
    plane = midplane.find(view.slices[:, 0], view.brain, view.spacing_mm)
    assert np.rad2deg(np.arctan(plane.row_slope)) == pytest.approx(0.0, abs=2.0)
    assert plane.offset_mm == pytest.approx(0.0, abs=3.0)


def test_mirroring_twice_comes_back_and_changes_the_side() -> None:
    plane = found(turned_degrees=8.0)
    points = np.array([[40.0, 60.0, 120.0], [60.0, 90.0, 50.0]])
    mirrored = plane.mirrored(points)
    np.testing.assert_allclose(plane.mirrored(mirrored), points, atol=1e-9)
    np.testing.assert_allclose(plane.left_mm(mirrored), -plane.left_mm(points), atol=1e-9)


def test_left_is_where_columns_grow() -> None:
    plane = found()
    points = np.array([[60.0, 95.0, 120.0]])
    assert plane.left_mm(points) > 0


def test_without_brain_the_middle_of_the_columns_is_taken() -> None:
    image = np.zeros((3, 11, 21), dtype=np.float32)
    plane = midplane.find(image, image > 0, (5.0, 1.0, 2.0))
    assert plane.left_mm(np.array([[0.0, 0.0, 20.0]])) == pytest.approx(0.0)

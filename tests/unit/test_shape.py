"""What is said of drawn regions: a mass, paired periventricular lesions, and where nothing is."""

import numpy as np
import pytest

import drawn_brain
from agent.imaging import landmarks, shape
from agent.imaging.results import Shape

WHERE = drawn_brain.places()
MASS = drawn_brain.ellipsoid(WHERE, (10, -30, 38), (16, 14, 14))
LEFT = drawn_brain.ellipsoid(WHERE, (8, 15, 20), (12, 18, 4.5))
RIGHT = drawn_brain.ellipsoid(WHERE, (8, 15, -20), (12, 18, 4.5))


def described(*masks: drawn_brain.Mask) -> list[Shape]:
    """Shapes of bright regions in an otherwise healthy brain."""
    view = drawn_brain.draw(WHERE, masks)
    shapes = shape.describe(drawn_brain.labels(*masks), view)
    known = [one for one in shapes if one is not None]
    assert len(known) == len(masks)
    return known


def test_a_mass_is_thick_one_sided_bright_and_away_from_the_ventricles() -> None:
    (mass,) = described(MASS)
    assert mass.thickness_mm == pytest.approx(28, abs=4)
    assert mass.extent_mm == pytest.approx(32, abs=5)
    assert mass.asymmetry == 1.0
    # 0.65 against tissue of 0.4
    assert mass.contrast == pytest.approx(0.25 / 0.4, abs=0.05)
    assert mass.near_ventricle == pytest.approx(0.0, abs=0.1)
    assert mass.compactness > 0.6


def test_paired_lesions_at_the_ventricles_are_thin_symmetric_and_without_contrast() -> None:
    for lesion in described(LEFT, RIGHT):
        assert lesion.thickness_mm < 13
        assert lesion.asymmetry < 0.05
        assert lesion.contrast == pytest.approx(0.0, abs=0.1)
        assert lesion.near_ventricle is not None
        assert lesion.near_ventricle > 0.6
        assert lesion.ventricle_mm is not None
        assert lesion.ventricle_mm < 6
        assert lesion.surface_mm > 15


def test_one_of_a_pair_alone_is_asymmetric() -> None:
    (lesion,) = described(LEFT)
    assert lesion.asymmetry > 0.95
    assert lesion.contrast > 0.5


def test_a_mass_that_crosses_the_midplane_is_not_its_own_mirror_image() -> None:
    (mass,) = described(drawn_brain.ellipsoid(WHERE, (20, -40, 4), (14, 14, 14)))
    assert mass.asymmetry == 1.0


def test_a_mirror_image_is_found_in_a_head_that_lies_obliquely() -> None:
    where = drawn_brain.places(turned_degrees=9.0, moved_mm=6.0)
    pair = [drawn_brain.ellipsoid(where, (8, 15, side), (12, 18, 4.5)) for side in (-20.0, 20.0)]
    view = drawn_brain.draw(where, pair)
    shapes = shape.describe(drawn_brain.labels(*pair), view)
    assert all(one is not None and one.asymmetry < 0.1 for one in shapes)


def test_a_thread_is_not_compact() -> None:
    thread = drawn_brain.ellipsoid(WHERE, (0, 0, 35), (6, 50, 3))
    (of,) = described(thread)
    assert of.compactness < 0.1


def test_a_region_at_the_surface_says_so() -> None:
    surface = drawn_brain.ellipsoid(WHERE, (0, 0, 54), (8, 8, 8))
    (of,) = described(surface)
    assert of.surface_mm < 3


def test_a_dark_cyst_in_the_region_is_no_ventricle() -> None:
    view = drawn_brain.draw(WHERE)
    image = view.slices[:, 0].astype(np.float64)
    cyst = drawn_brain.ellipsoid(WHERE, (5, 0, 30), (12, 12, 8))
    image[cyst] = drawn_brain.FLUID
    with_cyst = drawn_brain.prepared(image, view.brain)
    seen = landmarks.find(with_cyst, marked=np.zeros_like(cyst)).ventricle_mm
    unseen = landmarks.find(with_cyst, marked=cyst).ventricle_mm
    assert seen is not None
    assert unseen is not None
    assert seen[12, 63, 83] == 0.0
    assert unseen[12, 63, 83] > 10.0


def test_without_ventricles_their_distance_is_unknown() -> None:
    brain = drawn_brain.ellipsoid(WHERE, (0, 0, 0), drawn_brain.BRAIN_AXES_MM)
    image = np.where(brain, drawn_brain.TISSUE, 0.0)
    image[MASS] = drawn_brain.BRIGHT
    (of,) = shape.describe(drawn_brain.labels(MASS), drawn_brain.prepared(image, brain))
    assert of is not None
    assert (of.ventricle_mm, of.near_ventricle) == (None, None)


def test_no_region_needs_no_description() -> None:
    nothing = np.zeros(drawn_brain.SHAPE, dtype=np.uint16)
    assert shape.describe(nothing, drawn_brain.draw(WHERE)) == ()

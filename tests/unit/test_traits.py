"""What is measured of an image before the model is asked."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

import drawn_sight
from agent.imaging import traits
from agent.imaging.traits import Sight, Trait


def value(sight: Sight, trait: Trait) -> float:
    """One trait; raises where it was not measured."""
    return {one.trait: one.value for one in traits.measure(sight)}[trait]


@pytest.fixture(scope="module")
def flair() -> Sight:
    return drawn_sight.draw()


def test_cortex_is_brighter_than_white_matter_in_flair_and_darker_in_t1(flair: Sight) -> None:
    assert value(flair, Trait.RIBBON) == pytest.approx(1.1, abs=0.03)
    assert value(drawn_sight.draw(drawn_sight.T1), Trait.RIBBON) == pytest.approx(0.8, abs=0.03)


def test_shading_across_the_head_hardly_changes_the_ribbon(flair: Sight) -> None:
    shaded = flair.working * np.linspace(0.7, 1.3, drawn_sight.SIDE)[:, None]
    sight = drawn_sight.with_working(flair, shaded)
    assert value(sight, Trait.RIBBON) == pytest.approx(value(flair, Trait.RIBBON), abs=0.05)


def test_detail_leans_to_dark_fluid_in_flair_and_to_bright_fluid_in_t2(flair: Sight) -> None:
    assert value(flair, Trait.LEAN) < -0.1
    assert value(drawn_sight.draw(drawn_sight.T2), Trait.LEAN) > 0.1


def test_blur_takes_the_texture_away(flair: Sight) -> None:
    blurred = np.stack([ndimage.gaussian_filter(p, 4.0) for p in flair.working])
    sight = drawn_sight.with_working(flair, blurred)
    assert value(sight, Trait.TEXTURE) < 0.5 * value(flair, Trait.TEXTURE)


@pytest.mark.parametrize("deviation", [0.03, 0.1])
def test_noise_is_measured_as_a_share_of_tissue(deviation: float) -> None:
    sight = drawn_sight.draw(noise=deviation)
    assert value(sight, Trait.NOISE) == pytest.approx(deviation, rel=0.25)


def test_a_ghost_shines_outside_the_head(flair: Sight) -> None:
    ghosted = flair.working + 0.15 * np.roll(flair.working, drawn_sight.SIDE // 2, axis=2)
    sight = drawn_sight.with_working(flair, ghosted)
    assert value(sight, Trait.GHOSTS) > 3 * value(flair, Trait.GHOSTS)


def test_axial_sections_are_ellipses_longer_than_wide(flair: Sight) -> None:
    assert value(flair, Trait.RAGGED) < 0.005
    assert value(flair, Trait.ASPECT) == pytest.approx(82 / 66, abs=0.02)


def test_sections_that_lack_a_quarter_are_ragged(flair: Sight) -> None:
    brain = flair.brain.copy()
    brain[:, : drawn_sight.SIDE // 2, : drawn_sight.SIDE // 2] = False
    assert value(drawn_sight.seen(flair.working, brain), Trait.RAGGED) > 0.02


def test_a_head_turned_in_its_plane_is_wider_than_long(flair: Sight) -> None:
    assert value(drawn_sight.through(flair, (0, 2, 1)), Trait.ASPECT) < 0.9


def test_a_brain_that_the_field_of_view_cuts_lies_along_its_edge(flair: Sight) -> None:
    half = drawn_sight.SIDE // 2
    cut = drawn_sight.seen(flair.working[:, :, half:], flair.brain[:, :, half:])
    assert value(flair, Trait.BESIDE) == 0
    assert value(cut, Trait.BESIDE) > 0.8


@pytest.mark.parametrize(("kept", "cut_off"), [(slice(4, 9), Trait.BELOW), (slice(5), Trait.ABOVE)])
def test_a_volume_that_ends_inside_the_brain_shows_it_at_that_end(
    flair: Sight, kept: slice, cut_off: Trait
) -> None:
    part = traits.only(flair, np.arange(9)[kept])
    other = ({Trait.BELOW, Trait.ABOVE} - {cut_off}).pop()
    assert value(part, cut_off) == 1
    assert value(part, other) < 0.2


def test_of_a_single_image_no_ends_are_measured(flair: Sight) -> None:
    measured = {one.trait for one in traits.measure(traits.only(flair, [4]))}
    assert measured == set(Trait) - {Trait.BELOW, Trait.ABOVE}


def test_in_pixels_as_coarse_as_fine_structure_no_noise_is_measured(flair: Sight) -> None:
    coarse = dataclasses.replace(flair, working_mm=(5.0, 2.0, 2.0))
    assert Trait.NOISE not in {one.trait for one in traits.measure(coarse)}

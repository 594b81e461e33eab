"""Grids: any axial orientation and spacing in, the same model grid out, and back."""

import dataclasses

import numpy as np
import pytest

import head_phantom
import shipped
from agent.imaging import morphology, preprocess
from agent.imaging.preprocess import ModelInput
from agent.imaging.results import NotAnalysed, Reason
from agent.imaging.volume import Volume

ORIENTATIONS = [
    ((0, 1, 2), (True, False, False)),
    ((0, 1, 2), (False, True, True)),
    ((0, 2, 1), (False, False, False)),
    ((0, 2, 1), (True, True, False)),
]


def prepared(volume: Volume) -> ModelInput:
    """The model's view of a volume that must be accepted."""
    found = preprocess.prepare(volume, size=64, context=1, brain_net=shipped.brain_net())
    assert isinstance(found, ModelInput)
    return found


@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_the_model_sees_the_same_whatever_the_orientation(
    axes: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    volume = head_phantom.draw(lesion_radius_mm=15).volume
    straight = prepared(volume)
    turned = prepared(head_phantom.turned(volume, axes, flips))
    np.testing.assert_allclose(turned.slices, straight.slices, atol=1e-5)
    np.testing.assert_array_equal(turned.positions, straight.positions)


@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_a_map_comes_back_to_where_it_was_seen(
    axes: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    phantom = head_phantom.draw(lesion_radius_mm=18)
    lesion = dataclasses.replace(phantom.volume, voxels=phantom.lesion.astype(np.float32))
    volume = head_phantom.turned(phantom.volume, axes, flips)
    view = prepared(volume)
    bright = (view.slices[:, 0] > 0.6).astype(np.float32)
    back = preprocess.to_source(bright, view.geometry) > 0.5
    truth = head_phantom.turned(lesion, axes, flips).voxels > 0.5
    assert back.shape == volume.voxels.shape
    assert 2 * (back & truth).sum() / (back.sum() + truth.sum()) > 0.85


def test_thin_slices_are_averaged_and_every_source_slice_gets_a_value() -> None:
    volume = head_phantom.draw(slices=130, spacing_mm=(1.0, 2.0, 2.0)).volume
    view = prepared(volume)
    assert len(view.slices) == 26
    spread = preprocess.slices_to_source(np.arange(26.0), view.geometry)
    assert spread.shape == (130,)
    assert np.all(np.diff(spread) >= 0)
    assert spread[62] == pytest.approx(12.0)


def test_feet_first_slices_get_their_own_scores() -> None:
    volume = head_phantom.turned(head_phantom.draw().volume, (0, 1, 2), (True, False, False))
    values = np.arange(24.0)
    spread = preprocess.slices_to_source(values, prepared(volume).geometry)
    np.testing.assert_array_equal(spread, values[::-1])


def test_air_is_dark_and_brain_has_its_fixed_value() -> None:
    view = prepared(head_phantom.draw().volume)
    assert np.median(view.slices[:, 0][view.brain]) == pytest.approx(0.4, abs=0.01)
    outside = ~morphology.dilated(view.brain, preprocess.SUPPORT_MM, view.spacing_mm)
    assert outside.mean() > 0.3
    assert view.slices[:, 0][outside].max() == 0.0


def test_neighbours_become_channels() -> None:
    volume = head_phantom.draw(lesion_radius_mm=15).volume
    found = preprocess.prepare(volume, size=64, context=3, brain_net=shipped.brain_net())
    assert isinstance(found, ModelInput)
    np.testing.assert_array_equal(found.slices[5, 2], found.slices[6, 1])
    np.testing.assert_array_equal(found.slices[5, 0], found.slices[4, 1])


@pytest.mark.parametrize("axes", [(2, 0, 1), (1, 0, 2)], ids=["sagittal", "coronal"])
def test_other_planes_are_refused(axes: tuple[int, int, int]) -> None:
    volume = head_phantom.turned(head_phantom.draw().volume, axes, (False, False, False))
    refused = preprocess.prepare(volume, size=64, context=1, brain_net=shipped.brain_net())
    assert isinstance(refused, NotAnalysed)
    assert refused.reason is Reason.BAD_GEOMETRY


def test_an_affine_without_extent_is_refused() -> None:
    volume = dataclasses.replace(head_phantom.draw().volume, affine=np.zeros((4, 4)))
    refused = preprocess.prepare(volume, size=64, context=1, brain_net=shipped.brain_net())
    assert isinstance(refused, NotAnalysed)
    assert refused.reason is Reason.BAD_GEOMETRY

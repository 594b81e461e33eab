"""Head and brain masks on drawn heads; `tests/integration/test_real_heads.py` has real ones."""

import numpy as np
import pytest

import head_phantom
import shipped
from agent.imaging import brain, head
from agent.imaging.head import HeadMasks
from agent.imaging.results import NotAnalysed, Reason


def masks(**options: object) -> tuple[HeadMasks, head_phantom.Phantom]:
    """Masks of a phantom that must be taken for a head."""
    phantom = head_phantom.draw(**options)  # type: ignore[arg-type]
    found = find(phantom.volume.voxels, phantom)
    assert isinstance(found, HeadMasks)
    return found, phantom


def find(voxels: np.ndarray, phantom: head_phantom.Phantom) -> HeadMasks | NotAnalysed:
    """What the shipped network and the rules around it say."""
    return head.find(voxels, spacing_mm=phantom.volume.spacing_mm, brain_net=shipped.brain_net())


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


@pytest.mark.parametrize(
    ("slices", "pixels", "spacing_mm"),
    [(24, 128, (6.0, 2.0, 2.0)), (28, 220, (5.0, 1.0, 1.0)), (20, 150, (7.0, 2.0, 1.5))],
)
def test_the_brain_mask_is_the_brain_at_any_spacing(
    slices: int, pixels: int, spacing_mm: tuple[float, float, float]
) -> None:
    found, phantom = masks(slices=slices, pixels=pixels, spacing_mm=spacing_mm)
    assert overlap(found.brain, phantom.brain) > 0.9
    assert not found.stripped


def test_scalp_belongs_to_the_head_but_not_to_the_brain() -> None:
    found, phantom = masks()
    scalp = phantom.volume.voxels > 150
    assert (found.head & scalp).sum() > 0.9 * scalp.sum()
    assert (found.brain & scalp).sum() < 0.02 * scalp.sum()


def test_bright_scalp_at_the_vertex_that_the_network_takes_for_cortex_is_dropped() -> None:
    phantom = head_phantom.draw(lesion_radius_mm=18.0)
    voxels, spacing_mm = phantom.volume.voxels, phantom.volume.spacing_mm
    scalp = voxels > 150
    scalp &= ~phantom.lesion
    scalp[: len(scalp) // 2] = False
    within = head.head_mask(voxels, spacing_mm=spacing_mm)
    kept = brain.without_scalp(phantom.brain | scalp, voxels, within, spacing_mm)
    assert (kept & scalp).sum() < 0.15 * scalp.sum()
    assert (kept & phantom.brain).sum() > 0.97 * phantom.brain.sum()
    assert (kept & phantom.lesion).sum() == phantom.lesion.sum()


def test_without_scalp_in_it_the_brain_stays_as_it_is() -> None:
    phantom = head_phantom.draw(lesion_radius_mm=18.0)
    voxels, spacing_mm = phantom.volume.voxels, phantom.volume.spacing_mm
    within = head.head_mask(voxels, spacing_mm=spacing_mm)
    kept = brain.without_scalp(phantom.brain, voxels, within, spacing_mm)
    assert (kept == phantom.brain).all()


def test_a_bright_lesion_stays_inside_the_brain_mask() -> None:
    found, phantom = masks(lesion_radius_mm=18.0)
    assert (found.brain & phantom.lesion).sum() > 0.97 * phantom.lesion.sum()


def test_a_stripped_brain_is_recognised_and_kept_whole() -> None:
    found, phantom = masks(stripped=True)
    assert found.stripped
    assert overlap(found.brain, phantom.brain) > 0.9


def test_a_z_scored_stripped_brain_is_recognised() -> None:
    phantom = head_phantom.draw(stripped=True)
    voxels = (phantom.volume.voxels - 90) / 30
    found = find(voxels.astype(np.float32), phantom)
    assert isinstance(found, HeadMasks)
    assert found.stripped


def test_a_single_slice_has_a_brain_mask() -> None:
    phantom = head_phantom.draw()
    found = find(phantom.volume.voxels[12:13], phantom)
    assert isinstance(found, HeadMasks)
    assert overlap(found.brain, phantom.brain[12:13]) > 0.9


@pytest.mark.parametrize("case", ["air", "noise", "small object", "speckled object"])
def test_what_is_no_head_is_refused_with_a_sentence(case: str) -> None:
    chance = np.random.default_rng(1)
    phantom = head_phantom.draw(scale=0.4 if case == "small object" else 1.0)
    voxels = phantom.volume.voxels
    if case == "air":
        voxels = np.zeros_like(voxels)
    if case == "noise":
        voxels = np.abs(chance.normal(0, 3, voxels.shape)).astype(np.float32)
    if case == "speckled object":
        voxels = np.where(phantom.brain, voxels * chance.choice([0.1, 3], voxels.shape), voxels)
    refused = find(voxels.astype(np.float32), phantom)
    assert isinstance(refused, NotAnalysed)
    assert refused.reason is Reason.NOT_A_HEAD
    assert refused.sentence.endswith(".")

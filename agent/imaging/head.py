"""Finds the head in an axial volume, has the brain found in it, and says when it is no head.

All volumes here are `[slice, row, column]`, rows toward the back, columns toward the left, slices
toward the head, about 1 mm in the plane and 5 mm across (`preprocess` brings them there).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging import brain, morphology
from agent.imaging.brain import BrainNet
from agent.imaging.morphology import Mask
from agent.imaging.results import NotAnalysed, Reason

Image = NDArray[np.float32]

STRIPPED_EXACT_SHARE = 0.95
STRIPPED_RING = 0.6
MIN_HEAD_CM2 = 135.0  # largest section; adult heads measured 190 and more
MIN_BRAIN_CM2 = 60.0  # largest section; 115 and more
MAX_UNEVENNESS = 0.9  # interquartile range over median inside the brain; up to 0.6


@dataclass(frozen=True, kw_only=True)
class HeadMasks:
    """Head and brain of one volume. `stripped` says that the skull was removed before."""

    head: Mask
    brain: Mask
    stripped: bool


def find(
    voxels: Image, *, spacing_mm: tuple[float, float, float], brain_net: BrainNet
) -> HeadMasks | NotAnalysed:
    """Head and brain masks, or why this is not a head."""
    voxels = voxels - np.float32(np.median(border(voxels)))
    head = head_mask(voxels, spacing_mm=spacing_mm)
    stripped = is_stripped(voxels, head, spacing_mm=spacing_mm)
    smallest_cm2 = MIN_BRAIN_CM2 if stripped else MIN_HEAD_CM2
    if widest_cm2(head, spacing_mm) < smallest_cm2:
        return not_a_head("what they show is smaller than a head")
    found = head if stripped else brain.find(voxels, head, spacing_mm=spacing_mm, net=brain_net)
    if widest_cm2(found, spacing_mm) < MIN_BRAIN_CM2:
        return not_a_head("no slice holds a section of brain of the usual size")
    if unevenness(voxels[found]) > MAX_UNEVENNESS:
        return not_a_head("what lies inside is far less even than brain")
    return HeadMasks(head=head, brain=found, stripped=stripped)


def not_a_head(why: str) -> NotAnalysed:
    """The refusal with its reason."""
    sentence = f"The images do not look like axial images of a head: {why}."
    return NotAnalysed(reason=Reason.NOT_A_HEAD, sentence=sentence)


def widest_cm2(mask: Mask, spacing_mm: tuple[float, float, float]) -> float:
    """Area of the mask's largest section."""
    return float(morphology.areas(mask).max() * spacing_mm[1] * spacing_mm[2] / 100)


def unevenness(values: Image) -> float:
    """Interquartile range over the median."""
    lower, median, upper = np.percentile(values, (25, 50, 75))
    return float((upper - lower) / max(float(median), 1e-6))


def head_mask(voxels: Image, *, spacing_mm: tuple[float, float, float]) -> Mask:
    """Everything that is not air, in one piece, with its holes filled in each slice.

    Expects air at 0.
    """
    smooth = ndimage.gaussian_filter(voxels, (0, 1.0, 1.0))
    mask = smooth > 0.5 * otsu(smooth)
    # Closed first: a thin scalp must survive the opening, or the skull cuts the brain off.
    mask = morphology.filled(morphology.closed(mask, 4.0, spacing_mm))
    mask = morphology.opened(mask, 3.0, spacing_mm)
    return morphology.filled(morphology.largest_component(mask))


def is_stripped(voxels: Image, head: Mask, *, spacing_mm: tuple[float, float, float]) -> bool:
    """Whether the skull is gone: air is one exact value and there is no dark ring of skull."""
    outside = voxels[~morphology.dilated(head, 2.0, spacing_mm)]
    if outside.size == 0 or float(np.mean(outside == 0)) < STRIPPED_EXACT_SHARE:
        return False
    return ring_ratio(voxels, head, spacing_mm) > STRIPPED_RING


def ring_ratio(voxels: Image, head: Mask, spacing_mm: tuple[float, float, float]) -> float:
    """Darkest shell below the surface against the deep head, in its widest slices."""
    depth = morphology.depth_mm(head, spacing_mm)
    area = morphology.areas(head)
    wide = area >= 0.85 * area.max()
    depth, voxels = depth[wide], voxels[wide]
    deep = voxels[depth > 0.5 * depth.max()]
    shells = [voxels[(depth > inner) & (depth <= inner + 2.0)] for inner in range(3, 14, 2)]
    values = [float(np.median(shell)) for shell in shells if shell.size]
    if not values or deep.size == 0:
        return 0.0
    return min(values) / max(float(np.median(deep)), 1e-6)


def border(voxels: Image) -> Image:
    """The outermost rows and columns of all slices."""
    return np.concatenate([voxels[:, [0, -1], :].ravel(), voxels[:, :, [0, -1]].ravel()])


def otsu(voxels: Image) -> float:
    """The threshold that parts dark from bright best (Otsu 1979), bright outliers clipped."""
    low, high = float(voxels.min()), float(np.percentile(voxels, 99.5))
    if high <= low:
        return high
    counts, edges = np.histogram(np.clip(voxels, low, high), bins=256, range=(low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    weight = np.cumsum(counts)
    total = np.cumsum(counts * centres)
    rest = weight[-1] - weight
    valid = (weight > 0) & (rest > 0)
    below = total[valid] / weight[valid]
    above = (total[-1] - total[valid]) / rest[valid]
    between = weight[valid] * rest[valid] * (above - below) ** 2
    return float(centres[valid][np.argmax(between)])

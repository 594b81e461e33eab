"""Finds the head and the brain in an axial FLAIR volume without learnt weights.

All volumes here are `[slice, row, column]`, rows toward the back, columns toward the left, slices
toward the head, about 1 mm in the plane and 5 mm across (`preprocess` brings them there).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging import morphology
from agent.imaging.morphology import Mask
from agent.imaging.results import NotAnalysed, Reason

Image = NDArray[np.float32]

DEEP_MM = 22.0  # deeper than scalp, skull and the fluid below it
SCALP_MM = 5.0  # brain is never closer to the skin
OPENING_MM = 2.8  # cuts the veins and the dura that bridge brain and scalp
FACE_OPENING_MM = 6.0  # below the widest slice: also cuts off muscle and the orbits
CLOSING_MM = 4.0
GROWTH_MM = 1.0  # how far the brain may grow from one slice to the next, away from the widest
BRAIN_SHARE = 0.57  # of the most frequent value deep in the head
FAT_MM = 12.0  # scalp fat lies above this depth ...
FAT_SHARE = 1.9  # ... and is brighter than this share of brain tissue
SEED_MARGIN_MM = 2.0
LOW_AREA_SHARE = 0.6  # of the seed's area: below the frontal lobes
TOP_FAT_MM = 16.0
ORBIT_SHARE = 0.33  # of the seed's length, from the front: where the orbits lie below it
ORBIT_BELOW_MM = 30.0  # they start this far below the seed slice
ORBIT_BRIGHTNESS = 2.2  # orbital fat is brighter than this share of brain tissue
FACE_SHARE = 0.36  # of the seed's length, from the front
MIN_OVERLAP = 0.7
STRIPPED_EXACT_SHARE = 0.95
STRIPPED_RING = 0.6
MIN_HEAD_CM2 = 135.0  # largest section; adult heads measured 190 and more
MIN_BRAIN_CM2 = 60.0  # largest section; 115 and more
MAX_UNEVENNESS = 0.9  # interquartile range over median inside the brain; up to 0.6
MIN_AREA_CM2 = 4.0


@dataclass(frozen=True, kw_only=True)
class HeadMasks:
    """Head and brain of one volume. `stripped` says that the skull was removed before."""

    head: Mask
    brain: Mask
    stripped: bool


def find(voxels: Image, *, spacing_mm: tuple[float, float, float]) -> HeadMasks | NotAnalysed:
    """Head and brain masks, or why this is not a head."""
    voxels = voxels - np.float32(np.median(border(voxels)))
    head = head_mask(voxels, spacing_mm=spacing_mm)
    stripped = is_stripped(voxels, head, spacing_mm=spacing_mm)
    smallest_cm2 = MIN_BRAIN_CM2 if stripped else MIN_HEAD_CM2
    if widest_cm2(head, spacing_mm) < smallest_cm2:
        return not_a_head("what they show is smaller than a head")
    brain = head if stripped else brain_mask(voxels, head, spacing_mm=spacing_mm)
    if widest_cm2(brain, spacing_mm) < MIN_BRAIN_CM2:
        return not_a_head("no slice holds a section of brain of the usual size")
    if unevenness(voxels[brain]) > MAX_UNEVENNESS:
        return not_a_head("what lies inside is far less even than brain")
    return HeadMasks(head=head, brain=brain, stripped=stripped)


def not_a_head(why: str) -> NotAnalysed:
    """The refusal with its reason."""
    sentence = f"The images do not look like axial FLAIR images of a head: {why}."
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


def brain_mask(voxels: Image, head: Mask, *, spacing_mm: tuple[float, float, float]) -> Mask:
    """Brain: near the deep tissue's usual value, off the scalp, followed from slice to slice."""
    depth = morphology.depth_mm(head, spacing_mm)
    tissue = tissue_values(voxels, head, depth)[:, None, None]
    smooth = ndimage.gaussian_filter(voxels, (0, 0.8, 0.8))
    fat_mm = np.where(tapered(head), TOP_FAT_MM, FAT_MM)[:, None, None]
    scalp = (depth < SCALP_MM) | ((depth < fat_mm) & (smooth > FAT_SHARE * tissue))
    candidate = (smooth > BRAIN_SHARE * tissue) & ~scalp
    core = morphology.largest_component(morphology.eroded(candidate, OPENING_MM, spacing_mm))
    brain = morphology.dilated(core, OPENING_MM, spacing_mm) & candidate
    brain = morphology.filled(morphology.closed(brain, CLOSING_MM, spacing_mm))
    seed = seed_slice(brain, head)
    low = max(seed - round(ORBIT_BELOW_MM / spacing_mm[0]), 0)
    front = int(front_row(brain[seed], ORBIT_SHARE))
    orbits = (smooth > ORBIT_BRIGHTNESS * tissue)[:low, :front]
    brain[:low, :front] &= ~morphology.dilated(orbits, 1.0, spacing_mm)
    return followed(brain, seed, spacing_mm)


def tissue_values(voxels: Image, head: Mask, depth: NDArray[np.float32]) -> NDArray[np.float64]:
    """The usual value of brain tissue in each slice: coils dim the top and brighten the neck."""
    deep = depth > min(DEEP_MM, 0.5 * float(depth.max()))
    upper = upper_part(head)
    whole = most_frequent(
        voxels[deep & upper[:, None, None]] if deep[upper].any() else voxels[deep]
    )
    values = np.array(
        [
            most_frequent(part[inside]) if inside.sum() > 200 else whole
            for part, inside in zip(voxels, deep, strict=True)
        ]
    )
    values = np.clip(values, 0.75 * whole, 1.25 * whole)
    return np.asarray(ndimage.gaussian_filter1d(values, 1.5, mode="nearest"))


def tapered(head: Mask) -> NDArray[np.bool_]:
    """The slices near the vertex, where the scalp is cut at a slant and looks thick."""
    area = morphology.areas(head)
    return np.asarray((np.arange(len(head)) > np.argmax(area)) & (area < 0.8 * area.max()))


def upper_part(head: Mask) -> NDArray[np.bool_]:
    """Which slices hold brain rather than face: the upper 60 per cent, without the tapered top."""
    area = morphology.areas(head)
    rows = np.flatnonzero(area > 0)
    start = rows[0] + 0.4 * (rows[-1] - rows[0])
    index = np.arange(len(head))
    wide = area >= 0.6 * area[index >= start].max()
    return np.asarray((index >= start) & wide)


def most_frequent(values: Image) -> float:
    """The peak of the smoothed histogram of values that are not fluid or air."""
    low, high = np.percentile(values, (20, 99))
    if high <= low:
        return float(high)
    counts, edges = np.histogram(values, bins=128, range=(float(low), float(high)))
    peak = int(np.argmax(ndimage.gaussian_filter1d(counts.astype(float), 4.0)))
    return float(edges[peak] + edges[peak + 1]) / 2


def seed_slice(brain: Mask, head: Mask) -> int:
    """The slice with much brain that also fills most of the head there: never a face slice."""
    area = morphology.areas(brain).astype(float)
    share = area / np.maximum(morphology.areas(head), 1)
    return int(np.argmax(np.where(upper_part(head), area * share**2, 0.0)))


def followed(brain: Mask, seed: int, spacing_mm: tuple[float, float, float]) -> Mask:
    """Keeps what continues the seed slice upward and downward: sheds face and skull base."""
    result = np.zeros_like(brain)
    result[seed] = morphology.largest_component(brain[seed][None])[0]
    # Nothing below the widest slice lies outside its outline.
    outline = morphology.dilated(morphology.filled(result[seed][None]), SEED_MARGIN_MM, spacing_mm)[
        0
    ]
    for index in range(seed + 1, len(brain)):
        result[index] = continued(brain[index], result[index - 1], OPENING_MM, spacing_mm)
    for index in range(seed - 1, -1, -1):
        below = brain[index] & outline
        kept = continued(below, result[index + 1], FACE_OPENING_MM, spacing_mm)
        if kept.sum() < LOW_AREA_SHARE * result[seed].sum():
            kept = without_face(kept, front_row(result[seed], FACE_SHARE))
        result[index] = kept
    return result


def front_row(seed: Mask, share: float) -> float:
    """The row at a share of the seed slice's length, from the front."""
    rows = np.flatnonzero(seed.any(axis=1))
    if not len(rows):
        return 0.0
    return float(rows[0] + share * (rows[-1] - rows[0]))


def without_face(current: Mask, front: float) -> Mask:
    """Drops the pieces whose middle lies in front of a row."""
    labels, count = ndimage.label(current)
    centres = ndimage.center_of_mass(current, labels, range(1, count + 1))
    ahead = [number for number, (row, _) in enumerate(centres, start=1) if row < front]
    return np.asarray(current & ~np.isin(labels, ahead))


def continued(
    current: Mask, previous: Mask, opening_mm: float, spacing_mm: tuple[float, float, float]
) -> Mask:
    """The part of `current` that lies inside the slightly grown `previous`."""
    if not previous.any():
        return np.zeros_like(current)
    kept = current & morphology.dilated(previous[None], GROWTH_MM, spacing_mm)[0]
    kept = morphology.filled(morphology.opened(kept[None], opening_mm, spacing_mm))[0]
    labels, count = ndimage.label(kept)
    cell_cm2 = spacing_mm[1] * spacing_mm[2] / 100
    for number in range(1, count + 1):
        part = labels == number
        inside = float(np.mean(previous[part]))
        if inside < MIN_OVERLAP or part.sum() * cell_cm2 < MIN_AREA_CM2:
            kept[part] = False
    return np.asarray(kept, dtype=np.bool_)


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

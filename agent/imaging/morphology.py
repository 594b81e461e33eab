"""Mask operations in millimetres, slice by slice. Masks are `[slice, row, column]`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]

IN_PLANE = np.array([np.zeros((3, 3)), [[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.zeros((3, 3))])


def areas(mask: Mask) -> NDArray[np.int64]:
    """Voxels a slice."""
    return np.asarray(mask.sum(axis=(1, 2)), dtype=np.int64)


def depth_mm(mask: Mask, spacing_mm: tuple[float, float, float]) -> NDArray[np.float32]:
    """Distance to the mask's edge inside its own slice."""
    depth = np.zeros(mask.shape, dtype=np.float32)
    for index, part in enumerate(mask):
        box = bounding_box(part, margin=0)
        if box is not None:
            padded = np.pad(part[box], 1)
            distance = ndimage.distance_transform_edt(padded, sampling=spacing_mm[1:])
            depth[index][box] = distance[1:-1, 1:-1]
    return depth


def depth_in_volume_mm(mask: Mask, spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Distance to the nearest voxel beside the mask, in any slice; beyond the volume lies none.

    Looked for in a box around the mask: outside of it none is nearer than those in its shell.
    """
    depth = np.zeros(mask.shape)
    box = tuple(
        slice(max(part.start - 1, 0), part.stop + 1)
        for part in ndimage.find_objects(mask.astype(np.uint8))[0]
    )
    depth[box] = ndimage.distance_transform_edt(mask[box], sampling=spacing_mm)
    return depth


def bounding_box(part: Mask, *, margin: int) -> tuple[slice, slice] | None:
    """The smallest box around a slice's mask and a margin in pixels, None if it is empty."""
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    if not len(rows):
        return None
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin + 1),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin + 1),
    )


def eroded(mask: Mask, radius_mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    """The mask less a margin, slice by slice; beyond the image lies none of it."""
    outside = np.pad(~mask, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    # In 32 bits, as `depth_mm` is: what lies exactly at the radius goes the same way.
    widths = disc(np.float32(radius_mm), spacing_mm)
    return ~spread(outside, widths)[:, 1:-1, 1:-1]


def dilated(mask: Mask, radius_mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    """The mask plus a margin, slice by slice."""
    return spread(mask, disc(np.float64(radius_mm), spacing_mm))


def disc(radius: np.floating, spacing_mm: tuple[float, float, float]) -> list[int]:
    """How many columns to either side lie within a radius in mm, 0, 1, 2 ... rows away."""
    _, row_mm, column_mm = spacing_mm
    rows = np.arange(int(radius / row_mm) + 2)[:, None] * row_mm
    columns = np.arange(int(radius / column_mm) + 2) * column_mm
    near = np.sqrt(np.square(rows) + np.square(columns)).astype(radius.dtype) <= radius
    return [int(count) - 1 for count in near.sum(axis=1) if count]


def spread(mask: Mask, widths: Sequence[int]) -> Mask:
    """The mask moved to every place of a `disc`; eight slices at once, as the bits of a byte.

    A distance transform, which tells how far every voxel is, takes many times as long.
    """
    packed = np.zeros((-(-len(mask) // 8), *mask.shape[1:]), dtype=np.uint8)
    for index, part in enumerate(mask):
        packed[index // 8] |= part.astype(np.uint8) << (index % 8)
    wide = {0: packed}
    for step in range(1, widths[0] + 1):
        wider = wide[step - 1].copy()
        wider[:, :, step:] |= packed[:, :, :-step]
        wider[:, :, :-step] |= packed[:, :, step:]
        wide[step] = wider
    result = wide[widths[0]].copy()
    for step, width in enumerate(widths[1:], start=1):
        result[:, step:] |= wide[width][:, :-step]
        result[:, :-step] |= wide[width][:, step:]
    moved = np.empty_like(mask)
    for index, part in enumerate(moved):
        part[:] = result[index // 8] >> (index % 8) & 1
    return moved


def opened(mask: Mask, radius_mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    """The mask without what is thinner than twice the radius."""
    return dilated(eroded(mask, radius_mm, spacing_mm), radius_mm, spacing_mm) & mask


def closed(mask: Mask, radius_mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    """The mask with gaps narrower than twice the radius filled."""
    grown = dilated(mask, radius_mm, spacing_mm)
    return eroded(grown, radius_mm, spacing_mm) | mask


def filled(mask: Mask) -> Mask:
    """The mask with the holes of each slice filled: all that is not one with what lies around."""
    around, _ = ndimage.label(~np.pad(mask, ((0, 0), (1, 1), (1, 1))), structure=IN_PLANE)
    return np.asarray(around != around[:, :1, :1])[:, 1:-1, 1:-1]


def largest_component(mask: Mask) -> Mask:
    """The largest piece, joined within and across slices."""
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == int(np.argmax(sizes)))


def without_pieces_below(part: Mask, least: float) -> Mask:
    """One slice's mask without its pieces of fewer than `least` pixels."""
    labels, _ = ndimage.label(part)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= least)[labels])

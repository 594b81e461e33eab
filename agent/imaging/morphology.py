"""Mask operations in millimetres, slice by slice. Masks are `[slice, row, column]`."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]


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
    """The mask less a margin, slice by slice."""
    return depth_mm(mask, spacing_mm) > radius_mm


def dilated(mask: Mask, radius_mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    """The mask plus a margin, slice by slice."""
    result = np.zeros_like(mask)
    margin = int(np.ceil(radius_mm / min(spacing_mm[1:]))) + 1
    for index, part in enumerate(mask):
        box = bounding_box(part, margin=margin)
        if box is not None:
            away = ndimage.distance_transform_edt(~part[box], sampling=spacing_mm[1:])
            result[index][box] = away <= radius_mm
    return result


def opened(mask: Mask, radius_mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    """The mask without what is thinner than twice the radius."""
    return dilated(eroded(mask, radius_mm, spacing_mm), radius_mm, spacing_mm) & mask


def closed(mask: Mask, radius_mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    """The mask with gaps narrower than twice the radius filled."""
    grown = dilated(mask, radius_mm, spacing_mm)
    return eroded(grown, radius_mm, spacing_mm) | mask


def filled(mask: Mask) -> Mask:
    """The mask with the holes of each slice filled."""
    return np.stack([ndimage.binary_fill_holes(part) for part in mask])


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

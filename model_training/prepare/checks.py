"""What an image and its mask must be before anything is learnt from them."""

import numpy as np
from numpy.typing import NDArray

from agent.imaging import preprocess
from agent.imaging.results import NotAnalysed
from agent.imaging.volume import Volume
from model_training.prepare.findings import Unusable
from model_training.prepare.kinds import Why

MINIMUM_PIXELS = 64  # of the shorter side of an axial slice
# A sagittal or coronal stack with thick slices gives axial slices of long pixels. A 3D volume made
# of 2 mm slices of 1 mm pixels is still taken.
MAXIMUM_PIXEL_RATIO = 2.5
MASK_SHIFT_MM = 2.0  # of any corner; headers written by two programs may differ by a voxel

Mask = NDArray[np.bool_]


def image(volume: Volume) -> None:
    """Raise Unusable for a volume in canonical order that is constant, too small or not axial."""
    _, rows, columns = volume.voxels.shape
    if not np.isfinite(volume.voxels).all():
        raise Unusable(Why.NO_NUMBERS, "It holds values that are no numbers (NaN or infinite).")
    if volume.voxels.min() == volume.voxels.max():
        value = float(volume.voxels.min())
        raise Unusable(Why.CONSTANT, f"It is empty: every voxel has the value {value:g}.")
    _check_plane(volume)
    if min(rows, columns) < MINIMUM_PIXELS:
        raise Unusable(
            Why.SMALL,
            f"Its axial slices have {columns} x {rows} pixels; at least {MINIMUM_PIXELS} x "
            f"{MINIMUM_PIXELS} are needed.",
        )


def lesion(mask: Volume, volume: Volume, *, any_label: bool) -> Mask:
    """The lesion mask of a volume, or Unusable when it is of another grid or not of two values."""
    if mask.voxels.shape != volume.voxels.shape:
        raise Unusable(
            Why.MASK,
            f"Its mask has {_size(mask)} voxels and the image {_size(volume)}.",
        )
    shift_mm = _shift_mm(mask, volume)
    if shift_mm > MASK_SHIFT_MM:
        raise Unusable(Why.MASK, f"Its mask lies {shift_mm:.1f} mm away from the image.")
    values = np.unique(mask.voxels)
    if values[0] < 0 or (len(values) > 2 and not any_label):
        listed = ", ".join(f"{value:g}" for value in values[:5])
        raise Unusable(
            Why.MASK,
            f"Its mask holds {len(values)} values ({listed}{', ...' if len(values) > 5 else ''}) "
            "where 0 and one other mark a lesion; --any-label takes every value above 0.",
        )
    if values[0] > 0:
        raise Unusable(Why.MASK, "Its mask marks every voxel.")
    return np.asarray(mask.voxels > 0)


def abnormality(said: bool | None, marked: Mask | None) -> bool | None:
    """Whether the image is abnormal, by its mask and by what folder or table say.

    Raises Unusable where the two contradict each other.
    """
    if marked is None:
        return said
    found = bool(marked.any())
    if said is not None and said is not found:
        words = ("normal", "marks a lesion") if found else ("abnormal", "marks nothing")
        raise Unusable(Why.CLASS, f"It is said to be {words[0]}, but its mask {words[1]}.")
    return found


def _check_plane(volume: Volume) -> None:
    tilted = preprocess.canonical_orientation(volume.affine)
    if isinstance(tilted, NotAnalysed):
        raise Unusable(Why.PLANE, tilted.sentence)
    _, row_mm, column_mm = volume.spacing_mm
    if max(row_mm, column_mm) > MAXIMUM_PIXEL_RATIO * min(row_mm, column_mm):
        plane = "sagittal" if column_mm > row_mm else "coronal"
        raise Unusable(
            Why.PLANE,
            f"It is a {plane} stack: its axial slices would have pixels of {column_mm:.1f} x "
            f"{row_mm:.1f} mm.",
        )


def _shift_mm(mask: Volume, volume: Volume) -> float:
    """The largest distance between where the two put the same corner."""
    last = np.array(volume.voxels.shape) - 1
    corners = np.array(np.meshgrid(*([0, end] for end in last))).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    apart = ((mask.affine - volume.affine) @ corners)[:3]
    return float(np.linalg.norm(apart, axis=0).max())


def _size(volume: Volume) -> str:
    return " x ".join(str(side) for side in reversed(volume.voxels.shape))

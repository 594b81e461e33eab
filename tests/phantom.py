"""A head with ventricles and a lesion, drawn in patient coordinates (LPS mm) on any grid."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Head = Callable[[NDArray[np.float64], tuple[int, int, int]], NDArray[np.uint16]]
"""Draws a head on the grid of an affine to LPS mm: voxels `[slice, row, column]`, 12 bit."""

HEAD_CENTRE_MM = (4.0, -12.0, 25.0)
HEAD_AXES_MM = (68.0, 86.0, 66.0)
LESION_CENTRE_MM = (34.0, -2.0, 37.0)
LESION_RADIUS_MM = 15.0


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Directions of growing column index, row index and slice index, and how the patient lay.

    `flipped` stores the slices against the right-handed normal of the image.
    """

    along_row: tuple[float, float, float]
    along_column: tuple[float, float, float]
    flipped: bool = False
    patient_position: str = "HFS"

    @property
    def axes(self) -> NDArray[np.float64]:
        """Unit vectors of slice, row and column index as the columns of a 3 x 3 matrix."""
        across = np.cross(self.along_row, self.along_column) * (-1.0 if self.flipped else 1.0)
        return np.stack([across, self.along_column, self.along_row], axis=1).astype(np.float64)


def _tilted(degrees: float) -> tuple[float, float, float]:
    angle = np.deg2rad(degrees)
    return 0.0, float(np.cos(angle)), float(np.sin(angle))


AXIAL = Plane(along_row=(1, 0, 0), along_column=(0, 1, 0))
PLANES = {
    "axial": AXIAL,
    "axial, head to feet": replace(AXIAL, flipped=True),
    "axial oblique": replace(AXIAL, along_column=_tilted(17.0)),
    "axial, feet first": replace(AXIAL, flipped=True, patient_position="FFS"),
    "axial, prone": Plane(along_row=(-1, 0, 0), along_column=(0, -1, 0), patient_position="HFP"),
    # On the left side: rows run to the patient's back, columns from left to right.
    "axial, decubitus": Plane(
        along_row=(0, 1, 0), along_column=(-1, 0, 0), patient_position="HFDL"
    ),
    "axial, mirrored columns": replace(AXIAL, along_row=(-1, 0, 0)),
    "axial, rows upwards": replace(AXIAL, along_column=(0, -1, 0)),
    "sagittal": Plane(along_row=(0, 1, 0), along_column=(0, 0, -1)),
    "coronal": Plane(along_row=(1, 0, 0), along_column=(0, 0, -1)),
}


def affine_of(
    plane: Plane, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Maps `(slice, row, column)` to LPS mm, the grid centred on the head."""
    affine = np.eye(4)
    affine[:3, :3] = plane.axes * spacing_mm
    middle = (np.array(shape) - 1) / 2
    affine[:3, 3] = np.array(HEAD_CENTRE_MM) - affine[:3, :3] @ middle
    return affine


def phantom(
    affine: NDArray[np.float64], shape: tuple[int, int, int], *, lesion: bool = True, seed: int = 0
) -> NDArray[np.uint16]:
    """The head on a grid `[slice, row, column]`, 12 bit."""
    grid = np.stack([*np.indices(shape, dtype=np.float64), np.ones(shape)])
    x, y, z = np.tensordot(affine[:3], grid, axes=1)

    def inside(
        centre: Sequence[float], axes: Sequence[float], scale: float = 1.0
    ) -> NDArray[np.bool_]:
        offsets = zip((x, y, z), centre, axes, strict=True)
        return np.asarray(sum(((v - c) / (a * scale)) ** 2 for v, c, a in offsets) <= 1.0)

    voxels = np.zeros(shape)
    voxels[inside(HEAD_CENTRE_MM, HEAD_AXES_MM)] = 520.0
    voxels[inside(HEAD_CENTRE_MM, HEAD_AXES_MM, 0.94)] = 50.0
    brain = inside(HEAD_CENTRE_MM, HEAD_AXES_MM, 0.88)
    voxels[brain] = 330.0 - 0.4 * (y[brain] - HEAD_CENTRE_MM[1])
    for side in (-11.0, 11.0):
        ventricle = (HEAD_CENTRE_MM[0] + side, HEAD_CENTRE_MM[1], HEAD_CENTRE_MM[2] + 5.0)
        voxels[inside(ventricle, (6.0, 26.0, 12.0))] = 70.0
    if lesion:
        voxels[inside(LESION_CENTRE_MM, (LESION_RADIUS_MM,) * 3)] = 680.0
    noise = np.random.default_rng(seed).normal(0.0, 8.0, shape)
    return np.clip(voxels + noise, 0, 4095).astype(np.uint16)

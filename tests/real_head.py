"""The head of the bundled study on any grid, with a bright ball painted into its left frontal lobe.

It is moved so that its middle lies where that of the phantom does, and may nod.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

import demo_study
from agent.dicom import volumes
from agent.imaging.volume import Volume
from phantom import HEAD_CENTRE_MM

BALL_CENTRE_MM = (33.0, -46.0, 34.0)  # left, frontal
BALL_RADIUS_MM = 11.0
_BRIGHTER = 2.2  # than the tissue around: no one could overlook it


def head(
    affine: NDArray[np.float64], shape: tuple[int, int, int], *, nod_degrees: float = 0.0
) -> NDArray[np.uint16]:
    """The voxels on the grid `[slice, row, column]` that `affine` maps to LPS mm.

    The head nods about its middle; the ball stays where it is.
    """
    place = np.tensordot(affine[:3, :3], np.indices(shape, dtype=np.float64), axes=1)
    place += affine[:3, 3, None, None, None]
    volume, middle_mm = _demo()
    from_middle = place - np.array(HEAD_CENTRE_MM)[:, None, None, None]
    turned = np.tensordot(_turn(nod_degrees), from_middle, axes=1)
    moved = turned + middle_mm[:, None, None, None]
    inverse = np.linalg.inv(volume.affine)
    index = np.tensordot(inverse[:3, :3], moved, axes=1) + inverse[:3, 3, None, None, None]
    voxels = ndimage.map_coordinates(volume.voxels, index, order=1)
    away = np.linalg.norm(place - np.array(BALL_CENTRE_MM)[:, None, None, None], axis=0)
    tissue = float(np.median(volume.voxels[volume.voxels > volume.voxels.mean()]))
    voxels = np.where(away <= BALL_RADIUS_MM, _BRIGHTER * tissue, voxels)
    return np.clip(voxels, 0, 4095).astype(np.uint16)


def _turn(degrees: float) -> NDArray[np.float64]:
    """About the axis from right to left."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([(1, 0, 0), (0, cosine, sine), (0, -sine, cosine)])


@cache
def _demo() -> tuple[Volume, NDArray[np.float64]]:
    """The volume, and the middle of its head in LPS mm."""
    volume = volumes.load(demo_study.IMAGES).volume
    inside = np.argwhere(volume.voxels > volume.voxels.mean())
    middle = (inside.min(axis=0) + inside.max(axis=0)) / 2
    return volume, np.array(volume.position_mm((middle[0], middle[1], middle[2])))

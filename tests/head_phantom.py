"""A head of nested ellipsoids as an axial `Volume`: scalp, skull, brain, and lesions on demand."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.imaging.volume import Volume

BRAIN, SCALP, SKULL = 100.0, 190.0, 6.0
BRAIN_AXES_MM = (60.0, 80.0, 65.0)  # z, y, x
LESION_MM = (15.0, -30.0, 30.0)  # z, y, x from the middle


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """The volume and where its brain and lesion are, all `[slice, row, column]`."""

    volume: Volume
    brain: NDArray[np.bool_]
    lesion: NDArray[np.bool_]


def draw(
    *,
    slices: int = 24,
    pixels: int = 128,
    spacing_mm: tuple[float, float, float] = (6.0, 2.0, 2.0),
    stripped: bool = False,
    lesion_radius_mm: float = 0.0,
    lesion_value: float = 190.0,
    scale: float = 1.0,
    seed: int = 3,
) -> Phantom:
    """A head in canonical order: slices toward the head, rows to the back, columns to the left."""
    shape = (slices, pixels, pixels)
    z, y, x = (
        (np.arange(count) - (count - 1) / 2).reshape([-1 if a == axis else 1 for a in range(3)])
        * step
        / scale
        for axis, (count, step) in enumerate(zip(shape, spacing_mm, strict=True))
    )
    distance = shell(z, y, x, 0.0)
    voxels = np.zeros(shape)
    if not stripped:
        # No disc of scalp below the brain: a real head goes on there, and looks nothing like it.
        above_neck = z > -(BRAIN_AXES_MM[0] + 9.0)
        voxels[(shell(z, y, x, 15.0) < 1) & above_neck] = SCALP
        voxels[shell(z, y, x, 9.0) < 1] = SKULL
    brain = distance < 1
    noise = np.random.default_rng(seed)
    voxels[brain] = BRAIN + noise.normal(0, 5.0, int(brain.sum()))
    lesion = np.zeros(shape, dtype=np.bool_)
    if lesion_radius_mm > 0:
        away = (z - LESION_MM[0]) ** 2 + (y - LESION_MM[1]) ** 2 + (x - LESION_MM[2]) ** 2
        lesion = away < lesion_radius_mm**2
        voxels[lesion] = lesion_value
    if not stripped:
        voxels += np.abs(noise.normal(0, 1.5, shape))
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = spacing_mm
    affine[3, 3] = 1.0
    affine[:3, 3] = (x.min() * scale, y.min() * scale, z.min() * scale)
    volume = Volume(
        voxels=voxels.astype(np.float32),
        affine=affine,
        sources=tuple(f"slice {index}" for index in range(slices)),
    )
    return Phantom(volume=volume, brain=brain, lesion=lesion)


def shell(
    z: NDArray[np.floating], y: NDArray[np.floating], x: NDArray[np.floating], margin_mm: float
) -> NDArray[np.floating]:
    """Below 1 inside the brain's ellipsoid grown by a margin."""
    a, b, c = (axis + margin_mm for axis in BRAIN_AXES_MM)
    return np.asarray((z / a) ** 2 + (y / b) ** 2 + (x / c) ** 2)


def turned(volume: Volume, axes: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Volume:
    """The same patient stored in another order: axes permuted, then reversed."""
    voxels = volume.voxels.transpose(axes)
    affine = volume.affine[:, [*axes, 3]].copy()
    for axis, flip in enumerate(flips):
        if flip:
            voxels = np.flip(voxels, axis)
            affine[:3, 3] += affine[:3, axis] * (voxels.shape[axis] - 1)
            affine[:3, axis] *= -1
    sources = tuple(f"slice {index}" for index in range(len(voxels)))
    return Volume(voxels=np.ascontiguousarray(voxels), affine=affine, sources=sources)

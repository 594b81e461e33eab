"""Square crops of a volume: how a network sees slices, and how its answer gets back.

Volumes here are `[slice, row, column]`; a square keeps the slices and resamples each of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging.morphology import Mask

Image = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Square:
    """A square of `size` pixels over the slices: row = origin[0] + step[0] * square row."""

    origin: tuple[float, float]
    step: tuple[float, float]
    size: int


def around(
    mask: Mask, spacing_mm: tuple[float, float, float], *, margin: float, size: int
) -> Square:
    """The square whose side is `margin` times the longer side of everything in the mask."""
    rows = np.flatnonzero(mask.any(axis=(0, 2)))
    columns = np.flatnonzero(mask.any(axis=(0, 1)))
    extents_mm = (
        (rows[-1] - rows[0] + 1) * spacing_mm[1],
        (columns[-1] - columns[0] + 1) * spacing_mm[2],
    )
    side_mm = margin * max(extents_mm)
    step = (side_mm / size / spacing_mm[1], side_mm / size / spacing_mm[2])
    middle = ((rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2)
    half = (size - 1) / 2
    origin = (float(middle[0] - half * step[0]), float(middle[1] - half * step[1]))
    return Square(origin=origin, step=step, size=size)


def sampled(voxels: Image, square: Square) -> Image:
    """A volume on the square, smoothed first where the square is coarser."""
    sigma = [0.4 * np.sqrt(max(step**2 - 1.0, 0.0)) for step in square.step]
    smooth = ndimage.gaussian_filter(voxels, (0.0, *sigma))
    shape = (square.size, square.size)
    return np.stack(
        [
            ndimage.affine_transform(part, square.step, square.origin, output_shape=shape, order=1)
            for part in smooth
        ]
    )


def enlarged(
    part: Image,
    square: Square,
    shape: tuple[int, int],
    factors: tuple[int, int] = (1, 1),
) -> Image:
    """One slice of the square back on its grid, or on one finer by `factors`; 0 outside."""
    scale = [1.0 / (factor * step) for factor, step in zip(factors, square.step, strict=True)]
    offset = [
        ((0.5 / factor - 0.5) - origin) / step
        for factor, origin, step in zip(factors, square.origin, square.step, strict=True)
    ]
    result = ndimage.affine_transform(part, scale, offset, output_shape=shape, order=1)
    return np.asarray(result, dtype=np.float32)


def with_context(image: Image, context: int) -> Image:
    """Each slice with its neighbours as channels; the outermost slices are repeated."""
    reach = context // 2
    padded = np.pad(image, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    return np.stack([padded[i : i + len(image)] for i in range(context)], axis=1)

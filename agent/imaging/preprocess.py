"""Brings any axial head volume to the grid the model knows, and maps results back.

Three grids: the *source* grid of the `Volume`; the *working* grid, turned so that rows run to the
back, columns to the left and slices to the head, and reduced to about 1 x 1 x 5 mm; the *model*
grid, a square crop around the brain without a fixed spacing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.imaging import grids, head, morphology
from agent.imaging.brain import BrainNet
from agent.imaging.grids import Square
from agent.imaging.results import NotAnalysed, Reason
from agent.imaging.volume import Volume

SLAB_MM = 5.0  # thinner slices are averaged to about this
PIXEL_MM = 0.9  # smaller pixels are averaged to about this
MARGIN = 1.12  # side of the crop relative to the brain's longer side
TISSUE_VALUE = 0.4  # the median of the brain after normalisation
MAX_VALUE = 1.2
SUPPORT_MM = 2.0  # what is shown to the model beyond the brain mask
MAX_TILT = 0.7  # cosine below which a slice normal no longer counts as head-foot


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How source, working and model grid lie to each other.

    `axes` and `flips` turn the source array into canonical order, `factors` are the block sizes
    averaged into one working voxel, `square` is the crop in working pixels.
    """

    source_shape: tuple[int, int, int]
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    factors: tuple[int, int, int]
    square: Square


@dataclass(frozen=True, kw_only=True)
class ModelInput:
    """What the model sees: `slices` [n, context, size, size], `positions` [n] from 0 (lowest slice
    with brain) to 1 (highest), `brain` [n, size, size]; `spacing_mm` is that of the model grid."""

    slices: NDArray[np.float32]
    positions: NDArray[np.float32]
    brain: NDArray[np.bool_]
    head_share: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    geometry: Geometry


def prepare(
    volume: Volume, *, size: int, context: int, brain_net: BrainNet
) -> ModelInput | NotAnalysed:
    """The model's view of a volume, or the reason why there is none."""
    orientation = canonical_orientation(volume.affine)
    if isinstance(orientation, NotAnalysed):
        return orientation
    axes, flips = orientation
    spacing_mm = tuple(volume.spacing_mm[axis] for axis in axes)
    factors = reduction_factors(spacing_mm)
    voxels = reduced(turned(volume.voxels, axes, flips), factors)
    working_mm = (
        spacing_mm[0] * factors[0],
        spacing_mm[1] * factors[1],
        spacing_mm[2] * factors[2],
    )
    masks = head.find(voxels, spacing_mm=working_mm, brain_net=brain_net)
    if isinstance(masks, NotAnalysed):
        return masks
    square = grids.around(masks.brain, working_mm, margin=MARGIN, size=size)
    geometry = Geometry(
        source_shape=volume.voxels.shape,
        axes=axes,
        flips=flips,
        factors=factors,
        square=square,
    )
    model_mm = (working_mm[0], working_mm[1] * square.step[0], working_mm[2] * square.step[1])
    brain = grids.sampled(masks.brain.astype(np.float32), square) > 0.5
    image = grids.sampled(normalised(voxels, masks.brain), square)
    image *= morphology.dilated(brain, SUPPORT_MM, model_mm)
    return ModelInput(
        slices=grids.with_context(image, context),
        positions=positions(brain),
        brain=brain,
        head_share=masks.head.mean(axis=(1, 2)),
        spacing_mm=model_mm,
        geometry=geometry,
    )


def canonical_orientation(
    affine: NDArray[np.float64],
) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]] | NotAnalysed:
    """Which source axis becomes slice, row and column, and which of them must be reversed."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    directions = affine[:3, :3] / np.where(lengths > 0, lengths, np.nan)
    if not np.isfinite(directions).all() or abs(directions[2, 0]) < MAX_TILT:
        return NotAnalysed(
            reason=Reason.BAD_GEOMETRY,
            sentence="The slices are not axial and too far apart to be read as such: a sagittal or "
            "coronal series needs voxels of at most 2 mm in every direction.",
        )
    row_axis = 1 if abs(directions[1, 1]) >= abs(directions[1, 2]) else 2
    axes = (0, row_axis, 3 - row_axis)
    # LPS: slices ascend in z, rows in y (to the back), columns in x (to the left).
    signs = (directions[2, 0], directions[1, axes[1]], directions[0, axes[2]])
    return axes, (bool(signs[0] < 0), bool(signs[1] < 0), bool(signs[2] < 0))


def turned(
    voxels: NDArray[np.float32], axes: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> NDArray[np.float32]:
    """A source array in canonical order."""
    reverse = tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)
    return np.ascontiguousarray(voxels.transpose(axes)[reverse])


def reduction_factors(spacing_mm: tuple[float, ...]) -> tuple[int, int, int]:
    """How many source voxels along each axis are averaged into one working voxel."""
    slices = max(1, round(SLAB_MM / spacing_mm[0]))
    return slices, max(1, int(PIXEL_MM / spacing_mm[1])), max(1, int(PIXEL_MM / spacing_mm[2]))


def reduced(voxels: NDArray[np.float32], factors: tuple[int, int, int]) -> NDArray[np.float32]:
    """Block means; an incomplete last block repeats its last voxels."""
    for axis, factor in enumerate(factors):
        if factor == 1:
            continue
        missing = -voxels.shape[axis] % factor
        widths = [(0, missing if a == axis else 0) for a in range(3)]
        padded = np.pad(voxels, widths, mode="edge")
        shape = list(padded.shape)
        shape[axis : axis + 1] = [shape[axis] // factor, factor]
        voxels = padded.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
    return voxels


def normalised(voxels: NDArray[np.float32], brain: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Air at 0, the brain's median at `TISSUE_VALUE`, cut at `MAX_VALUE`."""
    inside = voxels[brain]
    tissue = float(np.median(inside))
    # A z-scored stripped volume may have its background above the darkest brain.
    air = min(float(np.median(head.border(voxels))), float(np.percentile(inside, 1)))
    scaled = (voxels - air) * (TISSUE_VALUE / max(tissue - air, 1e-6))
    return np.asarray(np.clip(scaled, 0.0, MAX_VALUE), dtype=np.float32)


def positions(brain: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Relative height of each slice inside the brain, 0.5 where there is only one."""
    index = np.arange(len(brain), dtype=np.float32)
    present = index[brain.any(axis=(1, 2))]
    if len(present) < 2:
        return np.full(len(brain), 0.5, dtype=np.float32)
    height = (index - present[0]) / (present[-1] - present[0])
    return np.asarray(np.clip(height, 0.0, 1.0), dtype=np.float32)


def to_source(maps: NDArray[np.float32], geometry: Geometry) -> NDArray[np.float32]:
    """A map on the model grid [n, size, size] on the grid of the source volume, linearly."""
    depth, height, width = (geometry.source_shape[axis] for axis in geometry.axes)
    turned_map = np.zeros((depth, height, width), dtype=np.float32)
    for index, part in enumerate(between_slices(maps, geometry.factors[0], depth)):
        turned_map[index] = grids.enlarged(
            part, geometry.square, (height, width), geometry.factors[1:]
        )
    reverse = tuple(slice(None, None, -1) if flip else slice(None) for flip in geometry.flips)
    back = np.argsort(geometry.axes)
    return np.ascontiguousarray(turned_map[reverse].transpose(back))


def between_slices(maps: NDArray[np.float32], factor: int, depth: int) -> NDArray[np.float32]:
    """Values for each source slice, interpolated between the slabs they were averaged into."""
    if factor == 1:
        return maps
    place = np.clip((np.arange(depth) + 0.5) / factor - 0.5, 0, len(maps) - 1)
    lower = np.minimum(place.astype(int), max(len(maps) - 2, 0))
    upper = np.minimum(lower + 1, len(maps) - 1)
    weight = (place - lower).astype(np.float32).reshape(-1, *([1] * (maps.ndim - 1)))
    return np.asarray((1 - weight) * maps[lower] + weight * maps[upper], dtype=np.float32)


def slices_to_source(values: NDArray[np.float64], geometry: Geometry) -> NDArray[np.float64]:
    """One value for each source slice, in the source's order."""
    depth = geometry.source_shape[0]
    place = np.clip((np.arange(depth) + 0.5) / geometry.factors[0] - 0.5, 0, len(values) - 1)
    spread = np.interp(place, np.arange(len(values)), values)
    return spread[::-1].copy() if geometry.flips[0] else spread

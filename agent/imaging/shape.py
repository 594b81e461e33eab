"""Describes marked regions: how thick, how one-sided, how bright, near what.

All measures lie on the model grid `[slice, row, column]` of about 1.4 mm pixels and slices of 3 to
7 mm, whatever the scanner's grid was.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging import landmarks, midplane, morphology
from agent.imaging.landmarks import Landmarks
from agent.imaging.morphology import Mask
from agent.imaging.preprocess import TISSUE_VALUE, Geometry, ModelInput

MIRROR_MM = 6.0  # how far from its mirror image the other half's region may lie
NEAR_VENTRICLE_MM = 10.0


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What can be said about one region beyond its size.

    `extent_mm` is its height across slices, `thickness_mm` the diameter of the largest ball
    inside it, `compactness` its volume over that of a ball as wide as its widest slice (1 for a
    ball, towards 0 for threads). `asymmetry` is the share of it whose mirror image in the other
    half of the brain is not marked, `contrast` its brightness less that of the mirror image, as a
    share of brain tissue. `ventricle_mm` (smallest distance) and `near_ventricle` (share within
    10 mm) are None where no ventricle is seen; `surface_mm` is the smallest distance to the
    brain's surface.
    """

    extent_mm: float
    thickness_mm: float
    compactness: float
    asymmetry: float
    contrast: float
    ventricle_mm: float | None
    near_ventricle: float | None
    surface_mm: float


def describe(labels: NDArray[np.uint16], prepared: ModelInput) -> tuple[Shape | None, ...]:
    """The shapes of regions 1 to n of a label image on the source grid, in their order.

    None for a region too small for a voxel of the model grid.
    """
    on_grid = on_model_grid(labels, prepared.geometry)
    count = int(labels.max())
    if count == 0:
        return ()
    marked = on_grid > 0
    places = landmarks.find(prepared, marked)
    away_mm = ndimage.distance_transform_edt(~marked, sampling=prepared.spacing_mm)
    boxes = ndimage.find_objects(on_grid, max_label=count)
    return tuple(
        None if box is None else measure(on_grid[box] == number, box, places, away_mm)
        for number, box in enumerate(boxes, start=1)
    )


def on_model_grid(labels: NDArray[np.uint16], geometry: Geometry) -> NDArray[np.uint16]:
    """A label image of the source on the model grid, the nearest voxel's label everywhere."""
    reverse = tuple(slice(None, None, -1) if flip else slice(None) for flip in geometry.flips)
    turned = labels.transpose(geometry.axes)[reverse]
    slices, rows, columns = (
        np.minimum(np.arange(0, length, factor) + factor // 2, length - 1)
        for length, factor in zip(turned.shape, geometry.factors, strict=True)
    )
    square = geometry.square
    chosen, known = [], []
    for blocks, origin, step in zip((rows, columns), square.origin, square.step, strict=True):
        index = np.rint(origin + step * np.arange(square.size)).astype(int)
        known.append((index >= 0) & (index < len(blocks)))
        chosen.append(blocks[np.clip(index, 0, len(blocks) - 1)])
    nearest = turned[np.ix_(slices, *chosen)]
    return np.asarray(np.where(known[0][:, None] & known[1], nearest, 0), dtype=np.uint16)


def measure(
    region: Mask, box: tuple[slice, ...], places: Landmarks, away_mm: NDArray[np.float64]
) -> Shape:
    """Describes one region, cut out at its box; `away_mm` is the distance from any region."""
    scale = np.array(places.spacing_mm)
    corner = np.array([part.start for part in box])
    points = np.argwhere(region) + corner
    mirrored = places.midplane.mirrored(points * scale) / scale
    inside = midplane.at(places.brain.astype(np.float32), mirrored) > 0.5
    lonely = midplane.at(away_mm.astype(np.float32), mirrored) > MIRROR_MM
    near_mm = None if places.ventricle_mm is None else places.ventricle_mm[box][region]
    return Shape(
        extent_mm=float(len(region) * scale[0]),
        thickness_mm=thickness_mm(region, places.spacing_mm),
        compactness=compactness(region, places.spacing_mm),
        asymmetry=float(np.mean(lonely | ~inside)),
        contrast=contrast(places, points, mirrored[inside]),
        ventricle_mm=None if near_mm is None else float(near_mm.min()),
        near_ventricle=None if near_mm is None else float(np.mean(near_mm < NEAR_VENTRICLE_MM)),
        surface_mm=float(places.surface_mm[box][region].min()),
    )


def contrast(places: Landmarks, points: NDArray[np.int64], mirrored: midplane.Points) -> float:
    """How much brighter than its mirror image, or than tissue where that lies outside the brain."""
    own = float(places.image[tuple(points.T)].mean())
    other = TISSUE_VALUE
    if len(mirrored):
        other = float(midplane.at(places.image, mirrored).mean())
    return (own - other) / TISSUE_VALUE


def thickness_mm(region: Mask, spacing_mm: tuple[float, float, float]) -> float:
    """Twice the distance of the region's innermost voxel from the outside."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1), sampling=spacing_mm)
    return 2.0 * float(depth.max())


def compactness(region: Mask, spacing_mm: tuple[float, float, float]) -> float:
    """Volume over that of a ball as wide as the widest slice is long, at most 1."""
    widest = region[int(np.argmax(morphology.areas(region)))]
    rows, columns = np.nonzero(widest)
    width_mm = float(
        np.hypot((np.ptp(rows) + 1) * spacing_mm[1], (np.ptp(columns) + 1) * spacing_mm[2])
    )
    volume = float(region.sum() * np.prod(spacing_mm))
    return min(1.0, volume / (np.pi / 6 * width_mm**3))

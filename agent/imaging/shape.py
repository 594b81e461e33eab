"""Describes marked regions: how thick, how one-sided, how bright, near what.

All measures lie on the model grid `[slice, row, column]` of about 1.4 mm pixels and slices of 3 to
7 mm, whatever the scanner's grid was.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from agent.imaging import landmarks, midplane, morphology
from agent.imaging.landmarks import Landmarks
from agent.imaging.morphology import Mask
from agent.imaging.preprocess import TISSUE_VALUE, Geometry, ModelInput
from agent.imaging.results import NEAR_VENTRICLE_MM, Level, Shape, Side

MIRROR_MM = 6.0  # how far from its mirror image a region's counterpart may lie
ONE_SIDED = 0.8  # of a region's voxels: less is called midline
DIRECTIONS = 12  # in which the width of a slice is taken: 1 % off at most


def describe(labels: NDArray[np.uint16], prepared: ModelInput) -> tuple[Shape | None, ...]:
    """The shapes of regions 1 to n of a label image on the source grid, in their order.

    None for a region too small for a voxel of the model grid.
    """
    on_grid = on_model_grid(labels, prepared.geometry)
    count = int(labels.max())
    if count == 0:
        return ()
    places = landmarks.find(prepared, on_grid > 0)
    boxes = ndimage.find_objects(on_grid, max_label=count)
    return tuple(
        None if box is None else measure(on_grid, number, box, places)
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
    on_grid: NDArray[np.uint16], number: int, box: tuple[slice, ...], places: Landmarks
) -> Shape:
    """Describes one region of the label image; `box` is its place there."""
    region = on_grid[box] == number
    scale = np.array(places.spacing_mm)
    corner = np.array([part.start for part in box])
    points = np.argwhere(region) + corner
    mirrored = places.midplane.mirrored(points * scale) / scale
    inside = midplane.at(places.brain.astype(np.float32), mirrored) > 0.5
    # Others only: a mass that crosses the midplane is not a pair.
    others = np.argwhere((on_grid > 0) & (on_grid != number))
    near_mm = None if places.ventricle_mm is None else places.ventricle_mm[box][region]
    return Shape(
        extent_mm=float(len(region) * scale[0]),
        thickness_mm=thickness_mm(region, places.spacing_mm),
        compactness=compactness(region, places.spacing_mm),
        asymmetry=1.0 - share_near(mirrored * scale, others * scale),
        contrast=contrast(places, points, mirrored[inside]),
        ventricle_mm=None if near_mm is None else float(near_mm.min()),
        near_ventricle=None if near_mm is None else float(np.mean(near_mm < NEAR_VENTRICLE_MM)),
        surface_mm=float(places.surface_mm[box][region].min()),
        side=side(places.midplane.left_mm(points * scale)),
        level=level(float(points[:, 0].mean()), places.brain),
    )


def side(left_mm: NDArray[np.float64]) -> Side:
    """The side that holds at least `ONE_SIDED` of the points, by their distance from the middle."""
    left = float(np.mean(left_mm > 0))
    if left >= ONE_SIDED:
        return Side.LEFT
    return Side.RIGHT if left <= 1 - ONE_SIDED else Side.MIDLINE


def level(height: float, brain: Mask) -> Level:
    """The third of the brain's slices that a height (slice index, growing to the head) is in."""
    present = np.flatnonzero(brain.any(axis=(1, 2)))
    share = (height + 0.5 - present[0]) / (present[-1] + 1 - present[0])
    if share < 1 / 3:
        return Level.LOWER
    return Level.UPPER if share > 2 / 3 else Level.MIDDLE


def share_near(points_mm: midplane.Points, others_mm: midplane.Points) -> float:
    """The share of points [n, 3] with one of the others within `MIRROR_MM`."""
    if not len(others_mm):
        return 0.0
    away_mm, _ = KDTree(others_mm).query(points_mm, distance_upper_bound=MIRROR_MM)
    return float(np.mean(np.isfinite(away_mm)))


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
    angles = np.linspace(0, np.pi, DIRECTIONS, endpoint=False)
    along = np.argwhere(widest) * spacing_mm[1:] @ np.stack([np.cos(angles), np.sin(angles)])
    width_mm = float(np.ptp(along, axis=0).max()) + (spacing_mm[1] + spacing_mm[2]) / 2
    volume = float(region.sum() * np.prod(spacing_mm))
    return float(min(1.0, volume / (np.pi / 6 * width_mm**3)))

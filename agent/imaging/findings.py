"""From scores to findings: which regions count, how large they are and where they lie."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from agent.imaging import morphology
from agent.imaging.results import Region
from agent.imaging.volume import Volume


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Where a model's answer becomes a finding; `version` names this set of values.

    `pixel` is in the units of the anomaly map, `slice` in those of the slice score.
    """

    pixel: float
    slice: float
    minimum_volume_ml: float
    version: str


def regions(
    anomaly_map: NDArray[np.float32],
    slice_anomalous: NDArray[np.bool_],
    volume: Volume,
    thresholds: Thresholds,
) -> tuple[NDArray[np.uint16], tuple[Region, ...]]:
    """Label image and regions on the source grid, numbered from 1 by falling volume.

    A region is a connected piece above the pixel threshold, with the holes of each slice filled (a
    dark cyst inside a bright ring), of at least the minimum volume, that touches a slice above the
    slice threshold.
    """
    above = anomaly_map > thresholds.pixel
    pieces, _ = ndimage.label(morphology.filled(above))
    sizes = np.bincount(pieces.ravel())
    touched = np.unique(pieces[slice_anomalous])
    kept = [
        int(number)
        for number in touched
        if number > 0 and sizes[number] * volume.voxel_ml >= thresholds.minimum_volume_ml
    ]
    kept.sort(key=lambda number: (-sizes[number], number))
    labels = np.zeros(pieces.shape, dtype=np.uint16)
    boxes = ndimage.find_objects(pieces)
    found = []
    for place, number in enumerate(kept, start=1):
        box = boxes[number - 1]
        piece = pieces[box] == number
        labels[box][piece] = place
        found.append(describe(piece, box, place, anomaly_map[box], volume))
    return labels, tuple(found)


def describe(
    piece: NDArray[np.bool_],
    box: tuple[slice, ...],
    number: int,
    anomaly_map: NDArray[np.float32],
    volume: Volume,
) -> Region:
    """Measures one piece; `box` is its place in the volume."""
    corner = np.array([part.start for part in box], dtype=np.float64)
    index = np.argwhere(piece).mean(axis=0) + corner
    widest = int(np.argmax(piece.sum(axis=(1, 2))))
    values = anomaly_map[piece]
    return Region(
        number=number,
        volume_ml=float(piece.sum() * volume.voxel_ml),
        diameter_mm=diameter_mm(piece[widest], volume),
        centroid_mm=volume.position_mm((float(index[0]), float(index[1]), float(index[2]))),
        peak_score=float(values.max()),
        mean_score=float(values.mean()),
        slice_index=widest + box[0].start,
    )


def diameter_mm(area: NDArray[np.bool_], volume: Volume) -> float:
    """Largest distance between two pixel centres of one slice, plus one pixel for their extent."""
    _, row_mm, column_mm = volume.spacing_mm
    points = np.argwhere(area) * np.array([row_mm, column_mm])
    if len(points) > 3:
        try:
            points = points[ConvexHull(points).vertices]
        except QhullError:
            points = points[[0, -1]]  # all pixels on one line: its ends, as argwhere sorts them
    away = points[:, None, :] - points[None, :, :]
    return float(np.sqrt((away**2).sum(axis=2)).max() + (row_mm + column_mm) / 2)

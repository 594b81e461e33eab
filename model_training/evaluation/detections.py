"""What is marked, counted by lesion and by region instead of by pixel."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging import morphology
from model_training.evaluation.metrics import Labels

HIT = 0.1  # share of a lesion's volume that must be marked
# Share of a region that must lie on lesions, or one region over the whole brain would be right.
ON_LESION = 0.1
LEAST_LESION_ML = 0.1  # smaller specks of an expert mask are not counted as lesions
IN_PLANE = np.array([np.zeros((3, 3)), [[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.zeros((3, 3))])


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One connected lesion of the expert mask: its box in the volume and its voxels there."""

    box: tuple[slice, ...]
    mask: Labels

    @property
    def voxels(self) -> int:
        """Its size."""
        return int(self.mask.sum())


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One lesion as it was marked: its size, the share marked, and its overlap with the marked
    regions that touch it (voxels of other lesions left out)."""

    volume_ml: float
    covered: float
    dice: float


@dataclass(frozen=True, kw_only=True)
class Marks:
    """One patient's mask against the expert's; voxels are those of the whole volume.

    `components` are pieces within tumour-free evaluated slices; `regions` are pieces of the volume,
    `false_regions` those with less than a tenth on lesions.
    """

    lesion_voxels: int
    marked_voxels: int
    common_voxels: int
    clean_slices: int
    firing_slices: int
    components: int
    regions: int
    false_regions: int
    lesions: tuple[Lesion, ...]

    @property
    def covered(self) -> float:
        """The share of all lesions together that is marked."""
        return self.common_voxels / max(self.lesion_voxels, 1)

    @property
    def dice(self) -> float:
        """The overlap of the whole mask."""
        return 2 * self.common_voxels / max(self.lesion_voxels + self.marked_voxels, 1)


def kept_regions(
    anomaly_map: NDArray[np.float32],
    slice_anomalous: Labels,
    *,
    threshold: float,
    least_voxels: float,
) -> NDArray[np.int32]:
    """Numbered regions by the shipped rule: above the pixel threshold, holes filled, not smaller
    than the least volume, touching a slice above the slice threshold."""
    labels, count = ndimage.label(filled(anomaly_map > threshold))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    touched = np.zeros(count + 1, dtype=np.bool_)
    touched[np.unique(labels[slice_anomalous])] = True
    kept = touched & (sizes >= least_voxels)
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return np.asarray(numbers[labels], dtype=np.int32)


def filled(mask: Labels) -> Labels:
    """The mask with the holes of each slice filled, looking only where there is mask."""
    solid = mask.copy()
    for part in solid:
        box = morphology.bounding_box(part, margin=0)
        if box is not None:
            part[box] = ndimage.binary_fill_holes(part[box])
    return solid


def pieces(lesion: Labels, voxel_ml: float) -> list[Piece]:
    """The expert mask's connected lesions (corners count) of at least 0.1 ml."""
    labels, _ = ndimage.label(lesion, np.ones((3, 3, 3)))
    found = [
        Piece(box=tuple(box), mask=np.asarray(labels[box] == number))
        for number, box in enumerate(ndimage.find_objects(labels), start=1)
    ]
    return [one for one in found if one.voxels * voxel_ml >= LEAST_LESION_ML]


def count(
    marked: Labels,
    lesion: Labels,
    expected: Sequence[Piece],
    *,
    evaluated: Labels,
    voxel_ml: float,
) -> Marks:
    """Counts what a mask marks; `expected` are the lesion's `pieces`."""
    clean = evaluated & ~lesion.any(axis=(1, 2))
    regions, number = ndimage.label(marked)
    wrong = ~on_lesions(regions, lesion)
    return Marks(
        lesion_voxels=int(lesion.sum()),
        marked_voxels=int(marked.sum()),
        common_voxels=int((marked & lesion).sum()),
        clean_slices=int(clean.sum()),
        firing_slices=int(marked[clean].any(axis=(1, 2)).sum()),
        components=int(ndimage.label(marked[clean], IN_PLANE)[1]),
        regions=int(number),
        false_regions=int(wrong[1:].sum()),
        lesions=lesions(regions, lesion, expected, voxel_ml),
    )


def on_lesions(regions: NDArray[np.int32], lesion: Labels) -> Labels:
    """For each number of a region, whether a tenth of it lies on lesions; False for number 0."""
    sizes = np.bincount(regions.ravel())
    right = np.bincount(regions[lesion], minlength=len(sizes)) >= ON_LESION * sizes
    right[0] = False
    return np.asarray(right)


def lesions(
    regions: NDArray[np.int32], lesion: Labels, expected: Sequence[Piece], voxel_ml: float
) -> tuple[Lesion, ...]:
    """Each lesion of the expert mask against the regions that touch it."""
    sizes = np.bincount(regions.ravel())
    # What a region marks of another lesion is no error of this one.
    outside = sizes - np.bincount(regions[lesion], minlength=len(sizes))
    found = []
    for piece in expected:
        under = np.bincount(regions[piece.box][piece.mask], minlength=len(sizes))
        under[0] = 0
        covered = int(under.sum())
        false = int(outside[under > 0].sum())
        found.append(
            Lesion(
                volume_ml=piece.voxels * voxel_ml,
                covered=covered / piece.voxels,
                dice=2 * covered / (piece.voxels + covered + false),
            )
        )
    return tuple(found)

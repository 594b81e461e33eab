"""What is marked, counted by lesion and by region instead of by pixel."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging import morphology
from model_training import resampling
from model_training.metrics import Floats, Labels
from model_training.resampling import Interval

HIT = 0.1  # share of a lesion's volume that must be marked
LEAST_LESION_ML = 0.1  # smaller specks of an expert mask are not counted as lesions
SIZES_ML = (1.0, 10.0, 50.0)
SIZE_NAMES = ("< 1", "1-10", "10-50", "> 50")
IN_PLANE = np.array([np.zeros((3, 3)), [[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.zeros((3, 3))])


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One connected lesion of the expert mask: its size, the share marked, and its overlap with
    the marked regions that touch it (voxels of other lesions left out)."""

    volume_ml: float
    covered: float
    dice: float


@dataclass(frozen=True, kw_only=True)
class Marks:
    """One patient's mask against the expert's; voxels are those of the whole volume.

    `components` are pieces within tumour-free evaluated
    slices; `regions` are pieces of the volume, `false_regions` those that touch no lesion.
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
    pieces, count = ndimage.label(morphology.filled(anomaly_map > threshold))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    touched = np.zeros(count + 1, dtype=np.bool_)
    touched[np.unique(pieces[slice_anomalous])] = True
    kept = touched & (sizes >= least_voxels)
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return np.asarray(numbers[pieces], dtype=np.int32)


def count(marked: Labels, lesion: Labels, *, evaluated: Labels, voxel_ml: float) -> Marks:
    """Counts what a mask marks."""
    clean = evaluated & ~lesion.any(axis=(1, 2))
    regions, number = ndimage.label(marked)
    hit = np.unique(regions[lesion & marked])
    return Marks(
        lesion_voxels=int(lesion.sum()),
        marked_voxels=int(marked.sum()),
        common_voxels=int((marked & lesion).sum()),
        clean_slices=int(clean.sum()),
        firing_slices=int(marked[clean].any(axis=(1, 2)).sum()),
        components=int(ndimage.label(marked[clean], IN_PLANE)[1]),
        regions=int(number),
        false_regions=int(number) - len(hit),
        lesions=lesions(regions, lesion, voxel_ml),
    )


def lesions(regions: NDArray[np.int32], lesion: Labels, voxel_ml: float) -> tuple[Lesion, ...]:
    """Each lesion of the expert mask against the regions that touch it."""
    sizes = np.bincount(regions.ravel())
    # Voxels of a region on any lesion: what lies on another lesion is no error of this one.
    on_lesions = np.bincount(regions[lesion], minlength=len(sizes))
    found = []
    for piece in pieces(lesion, voxel_ml):
        under = np.bincount(regions[piece], minlength=len(sizes))
        covered = int(under[1:].sum())
        touching = np.flatnonzero(under[1:]) + 1
        outside = int((sizes - on_lesions)[touching].sum())
        size = int(piece.sum())
        found.append(
            Lesion(
                volume_ml=size * voxel_ml,
                covered=covered / size,
                dice=2 * covered / (size + covered + outside),
            )
        )
    return tuple(found)


def pieces(lesion: Labels, voxel_ml: float) -> list[Labels]:
    """The expert mask's connected lesions (corners count) of at least 0.1 ml."""
    labels, _ = ndimage.label(lesion, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel()) * voxel_ml
    return [
        np.asarray(labels == number)
        for number in range(1, len(sizes))
        if sizes[number] >= LEAST_LESION_ML
    ]


def summary(marks: Sequence[Marks]) -> dict[str, Interval]:
    """Shares of patients with exact intervals; rates with intervals from drawing patients."""
    patients = len(marks)

    def rate(upper: Callable[[Marks], float], lower: Callable[[Marks], float]) -> Interval:
        figure = resampling.ratio(values(marks, upper), values(marks, lower))
        return resampling.interval(figure, patients)

    return {
        "tumours_hit": resampling.share(sum(one.covered >= HIT for one in marks), patients),
        "tumours_touched": resampling.share(sum(one.covered > 0 for one in marks), patients),
        "components_per_clean_slice": rate(
            lambda one: one.components, lambda one: one.clean_slices
        ),
        "clean_slices_that_fire": rate(lambda one: one.firing_slices, lambda one: one.clean_slices),
        "false_regions_per_study": rate(lambda one: one.false_regions, lambda _: 1.0),
        "lesions_found": rate(
            lambda one: sum(part.covered >= HIT for part in one.lesions),
            lambda one: len(one.lesions),
        ),
        "dice_pooled": rate(
            lambda one: 2 * one.common_voxels,
            lambda one: one.lesion_voxels + one.marked_voxels,
        ),
        "dice_patient_mean": rate(lambda one: one.dice, lambda _: 1.0),
    }


def values(marks: Sequence[Marks], of: Callable[[Marks], float]) -> Floats:
    """One number a patient."""
    return np.array([of(one) for one in marks], dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class SizeBin:
    """Lesions of one size: how many there are, the share found, their mean overlap."""

    name: str
    lesions: int
    found: Interval
    dice: Interval


def by_size(marks: Sequence[Marks]) -> list[SizeBin]:
    """Detection and overlap by lesion size."""
    bins = []
    for number, name in enumerate(SIZE_NAMES):
        chosen = [
            [part for part in one.lesions if np.digitize(part.volume_ml, SIZES_ML) == number]
            for one in marks
        ]
        counts = np.array([len(part) for part in chosen], dtype=np.float64)
        found = [float(sum(one.covered >= HIT for one in part)) for part in chosen]
        dice = [sum(one.dice for one in part) for part in chosen]
        bins.append(
            SizeBin(
                name=name,
                lesions=int(counts.sum()),
                found=resampling.interval(resampling.ratio(np.array(found), counts), len(marks)),
                dice=resampling.interval(resampling.ratio(np.array(dice), counts), len(marks)),
            )
        )
    return bins

"""Small builders that tests share: the phantom as real MR data sets, and what a model says of it.

The phantom is drawn in patient coordinates (LPS mm), so every plane, patient position and slice
order shows the same head, with one lesion on the patient's left.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from agent.dicom.source import SourceImages
from agent.imaging.volume import Volume
from answers import CREATED_AT, analysis, findings, lesions, region
from enhanced import enhanced_flair
from mr_headers import (
    NAMESPACE,
    decimals,
    series_headers,
    set_identity,
    set_pixels,
    study_headers,
    uid,
)
from phantom import (
    AXIAL,
    LESION_CENTRE_MM,
    LESION_RADIUS_MM,
    PLANES,
    Head,
    Plane,
    affine_of,
    phantom,
)

__all__ = [
    "AXIAL",
    "CREATED_AT",
    "LESION_CENTRE_MM",
    "LESION_RADIUS_MM",
    "NAMESPACE",
    "PLANES",
    "Plane",
    "analysis",
    "enhanced_flair",
    "findings",
    "flair_series",
    "lesions",
    "region",
    "source",
    "uid",
    "volume",
]


def flair_series(
    *,
    slices: int = 24,
    rows: int = 64,
    columns: int = 64,
    spacing_mm: tuple[float, float, float] | None = None,
    plane: Plane = AXIAL,
    lesion: bool = True,
    study: str = "1",
    series: str = "flair",
    description: str = "AX T2 FLAIR",
    number: int = 4,
    seed: int = 0,
    head: Head | None = None,
) -> list[Dataset]:
    """A T2-FLAIR series of classic MR data sets with pixels, in order of instance number.

    Without `spacing_mm` (slice, row, column) the grid covers 144 mm across the slices and 220 mm
    inside them. Equal `study` and `series` give equal UIDs. `head` draws another one.
    """
    shape = (slices, rows, columns)
    affine = affine_of(plane, shape, spacing_mm or (144 / slices, 220 / rows, 220 / columns))
    voxels = head(affine, shape) if head else phantom(affine, shape, lesion=lesion, seed=seed)
    return [
        _classic(affine, voxels[index], index, plane, (study, series, description, number))
        for index in range(slices)
    ]


def _classic(
    affine: NDArray[np.float64],
    image: NDArray[np.uint16],
    index: int,
    plane: Plane,
    names: tuple[str, str, str, int],
) -> Dataset:
    """One slice of a classic series."""
    study, series, description, number = names
    dataset = study_headers(study)
    series_headers(dataset, study, series, description, number, plane)
    set_identity(dataset, MRImageStorage, uid("image", study, series, index))
    across, down, along = (float(np.linalg.norm(affine[:3, axis])) for axis in range(3))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "IR"]
    dataset.ScanningSequence = ["SE", "IR"]
    dataset.SequenceVariant = "SK"
    dataset.ScanOptions = ""
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime = "9000"
    dataset.EchoTime = "120"
    dataset.InversionTime = "2500"
    dataset.EchoTrainLength = "20"
    dataset.AcquisitionDate = dataset.ContentDate = "20260304"
    dataset.AcquisitionTime = dataset.ContentTime = "040601"
    dataset.AcquisitionNumber = 1
    dataset.InstanceNumber = index + 1
    dataset.SliceThickness = f"{across * 0.9:.6g}"
    dataset.SpacingBetweenSlices = f"{across:.6g}"
    dataset.PixelSpacing = decimals((down, along))
    dataset.ImageOrientationPatient = decimals((*plane.along_row, *plane.along_column))
    dataset.ImagePositionPatient = decimals((affine @ (index, 0, 0, 1))[:3])
    dataset.WindowCenter, dataset.WindowWidth = "320", "640"
    set_pixels(dataset, image)
    return dataset


def source(datasets: Sequence[Dataset]) -> SourceImages:
    """The series as the analysed one, slices in the order given; enhanced when multi-frame."""
    frames = datasets[0].get("NumberOfFrames")
    numbers = tuple(range(1, int(frames) + 1)) if frames else None
    return SourceImages(datasets=tuple(datasets), frame_numbers=numbers)


def volume(datasets: Sequence[Dataset]) -> Volume:
    """The volume of evenly spaced data sets from these builders, in the order given."""
    first, last = datasets[0], datasets[-1]
    if "NumberOfFrames" in first:
        count = int(first.NumberOfFrames)
        shared = first.SharedFunctionalGroupsSequence[0]
        measures, plane = shared.PixelMeasuresSequence[0], shared.PlaneOrientationSequence[0]
        frames = first.PerFrameFunctionalGroupsSequence
        ends = [frames[at].PlanePositionSequence[0].ImagePositionPatient for at in (0, -1)]
        voxels = first.pixel_array
        names = tuple(f"{first.SOPInstanceUID}#{number}" for number in range(1, count + 1))
    else:
        count, measures, plane = len(datasets), first, first
        ends = [first.ImagePositionPatient, last.ImagePositionPatient]
        voxels = np.stack([dataset.pixel_array for dataset in datasets])
        names = tuple(str(dataset.SOPInstanceUID) for dataset in datasets)
    start, end = (np.array(position, dtype=np.float64) for position in ends)
    cosines = np.array(plane.ImageOrientationPatient, dtype=np.float64)
    down, along = (float(value) for value in measures.PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = (end - start) / (count - 1)
    affine[:3, 1] = cosines[3:] * down
    affine[:3, 2] = cosines[:3] * along
    affine[:3, 3] = start
    return Volume(
        voxels=voxels.astype(np.float32),
        affine=affine,
        sources=names,
        frame_of_reference_uid=first.get("FrameOfReferenceUID"),
    )

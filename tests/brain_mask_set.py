"""The hand-checked brain masks of `tests/data/brain_masks`, with the images they were drawn on."""

import csv
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image

from agent import readers
from agent.imaging.volume import Volume

FOLDER = Path(__file__).resolve().parent / "data" / "brain_masks"
MNI_MM = (5.0, 1.0, 1.0)  # of the IXI slices, whose files do not say it; the first is nominal
_PATIENT_AXES = (2, 1, 0)  # LPS: slices ascend in z, rows in y, columns in x


class Sequence(StrEnum):
    """What the image is weighted by."""

    FLAIR = "FLAIR"
    T1 = "T1"
    T2 = "T2"


class Level(StrEnum):
    """How high in the head the slice lies."""

    CEREBELLUM = "cerebellum"
    BASE = "base"
    MID = "mid"
    VERTEX = "vertex"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of `index.csv`; `slice_index` counts from below in canonical order."""

    mask_file: str
    collection: str
    subject: str
    slice_index: int
    sequence: Sequence
    stripped: bool
    level: Level
    corrected: bool
    note: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """A canonical volume `[slice, row, column]`, its spacing in mm along these axes, and the mask
    `[row, column]` of one of its slices."""

    voxels: NDArray[np.float32]
    spacing_mm: tuple[float, float, float]
    slice_index: int
    mask: NDArray[np.bool_]


def entries() -> tuple[Entry, ...]:
    """All slices of the set, in the order of the index."""
    with (FOLDER / "index.csv").open(newline="", encoding="utf-8") as file:
        return tuple(_entry(row) for row in csv.DictReader(file))


def load(entry: Entry, shared_data: Path) -> Case:
    """The volume an entry was drawn on, and its mask.

    Volumes come from `shared_data`; the last few are kept, so the voxels must not be changed.
    """
    voxels, spacing_mm = _volume(shared_data, entry.collection, entry.subject)
    stripping = FOLDER / "stripping" / _stripping_name(entry)
    if entry.stripped and stripping.is_file():
        voxels = voxels * _bits(stripping).reshape(voxels.shape)
    return Case(
        voxels=voxels,
        spacing_mm=spacing_mm,
        slice_index=entry.slice_index,
        mask=_bits(FOLDER / entry.mask_file),
    )


def _entry(row: dict[str, str]) -> Entry:
    return Entry(
        mask_file=row["mask"],
        collection=row["collection"],
        subject=row["subject"],
        slice_index=int(row["slice"]),
        sequence=Sequence(row["sequence"]),
        stripped=row["stripped"] == "yes",
        level=Level(row["level"]),
        corrected=row["corrected"] == "yes",
        note=row["note"],
    )


@lru_cache(maxsize=4)
def _volume(
    shared_data: Path, collection: str, subject: str
) -> tuple[NDArray[np.float32], tuple[float, float, float]]:
    folder = shared_data / collection / subject
    if collection == "ixi_t1_slices":
        (picture,) = readers.read_images(folder.with_suffix(".png"))
        return picture.voxels, MNI_MM
    if collection.startswith("dicom"):
        return canonical(stacked(folder))
    return canonical(readers.read_nifti(folder / "FLAIR.nii.gz"))


def canonical(volume: Volume) -> tuple[NDArray[np.float32], tuple[float, float, float]]:
    """A volume of any plane with slices up, rows to the back and columns to the left, unsampled."""
    cosines = volume.affine[:3, :3] / np.array(volume.spacing_mm)
    axes = [int(np.argmax(np.abs(cosines[patient]))) for patient in _PATIENT_AXES]
    steps = [
        slice(None, None, -1 if cosines[patient, axis] < 0 else 1)
        for patient, axis in zip(_PATIENT_AXES, axes, strict=True)
    ]
    first, second, third = (volume.spacing_mm[axis] for axis in axes)
    return np.ascontiguousarray(volume.voxels.transpose(axes)[tuple(steps)]), (first, second, third)


def stacked(folder: Path) -> Volume:
    """A classic series sorted along its normal, its mean step taken for all.

    `agent.dicom.volumes` would refuse the samples from which slices were left out.
    """
    files = [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    row, column = np.array(files[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(row, column)
    files.sort(key=lambda file: float(normal @ np.array(file.ImagePositionPatient, dtype=float)))
    first, last = (np.array(files[at].ImagePositionPatient, dtype=float) for at in (0, -1))
    affine = np.eye(4)
    affine[:3, 0] = (last - first) / (len(files) - 1)
    affine[:3, 1] = column * float(files[0].PixelSpacing[0])
    affine[:3, 2] = row * float(files[0].PixelSpacing[1])
    affine[:3, 3] = first
    voxels = np.stack([_rescaled(file) for file in files])
    return Volume(
        voxels=voxels, affine=affine, sources=tuple(str(file.SOPInstanceUID) for file in files)
    )


def _rescaled(file: pydicom.Dataset) -> NDArray[np.float32]:
    slope = float(file.get("RescaleSlope", 1.0))
    intercept = float(file.get("RescaleIntercept", 0.0))
    return np.asarray(file.pixel_array * slope + intercept, dtype=np.float32)


def _stripping_name(entry: Entry) -> str:
    return f"{entry.collection}/{entry.subject}".replace("/", "-") + ".png"


def _bits(path: Path) -> NDArray[np.bool_]:
    with Image.open(path) as image:
        return np.asarray(image, dtype=np.bool_)

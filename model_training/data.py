"""Reads the training volumes once and keeps what the network needs: model-grid slices and labels.

Expects the folders `lgg_flair/<patient>/{FLAIR,mask}.nii.gz` and
`tumour_free_flair/<subject>/{FLAIR,wmh}.nii.gz`, each with a `split.csv`.
"""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent import readers
from agent.imaging import preprocess
from agent.imaging.results import NotAnalysed
from agent.imaging.volume import Volume

CLEAN_MARGIN = 2  # slices between a training slice and the nearest tumour
MIN_BRAIN_SHARE = 0.12  # of the crop: smaller brain sections teach nothing
LESION_LABELS = ("mask.nii.gz", "wmh.nii.gz")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One volume with its expert mask, on the source grid."""

    name: str
    volume: Volume
    lesion: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class SliceSet:
    """Lesion-free slices [n, size, size] with brain masks and relative heights."""

    images: NDArray[np.float32]
    brain: NDArray[np.bool_]
    positions: NDArray[np.float32]
    subjects: int
    digest: str


def subject_folders(root: Path, collection: str, split: str) -> list[Path]:
    """The subjects of one split, as `split.csv` names them, or all where there is none."""
    table = root / collection / "split.csv"
    if not table.is_file():
        return sorted(path for path in (root / collection).iterdir() if path.is_dir())
    with table.open(newline="") as handle:
        rows = list(csv.reader(handle))[1:]
    return [root / collection / name for name, of in rows if of == split]


def training_folders(
    root: Path, collections: Sequence[str], only_subjects: Sequence[str]
) -> list[Path]:
    """The train split of the named collections, cut to names with one of the given beginnings."""
    folders = [
        folder
        for collection in collections
        for folder in subject_folders(root, collection, "train")
        if not only_subjects or folder.name.startswith(tuple(only_subjects))
    ]
    if not folders:
        raise FileNotFoundError(f"{root} holds no training subject of {', '.join(collections)}.")
    return folders


def read_subject(folder: Path) -> Subject:
    """A FLAIR volume in canonical order with its mask."""
    labels = next((folder / name for name in LESION_LABELS if (folder / name).is_file()), None)
    if labels is None:
        raise FileNotFoundError(f"{folder} holds no lesion mask ({' or '.join(LESION_LABELS)}).")
    volume = readers.read_nifti(folder / "FLAIR.nii.gz")
    lesion = readers.read_nifti(labels).voxels > 0
    if lesion.shape != volume.voxels.shape:
        raise ValueError(f"Image and mask of {folder} have different shapes.")
    return Subject(name=folder.name, volume=volume, lesion=lesion)


def kept_slices(path: Path, folders: Sequence[Path], *, size: int) -> SliceSet:
    """`clean_slices`, read from `path` where an earlier start of the run has kept them."""
    if path.is_file():
        with np.load(path) as kept:
            return SliceSet(
                images=kept["images"],
                brain=kept["brain"],
                positions=kept["positions"],
                subjects=int(kept["subjects"]),
                digest=str(kept["digest"]),
            )
    slices = clean_slices(folders, size=size)
    np.savez_compressed(path, **vars(slices))
    return slices


def clean_slices(folders: Sequence[Path], *, size: int) -> SliceSet:
    """Slices at least `CLEAN_MARGIN` away from any lesion, with enough brain in them."""
    images, brains, heights = [], [], []
    digest = hashlib.sha256()
    for folder in folders:
        subject = read_subject(folder)
        prepared = preprocess.prepare(subject.volume, size=size, context=1)
        if isinstance(prepared, NotAnalysed):
            raise ValueError(f"{folder} cannot be trained on: {prepared.sentence}")
        keep = clean_indices(subject, prepared)
        images.append(prepared.slices[keep, 0])
        brains.append(prepared.brain[keep])
        heights.append(prepared.positions[keep])
        digest.update(folder.name.encode() + np.ascontiguousarray(images[-1]).tobytes())
    return SliceSet(
        images=np.concatenate(images),
        brain=np.concatenate(brains),
        positions=np.concatenate(heights),
        subjects=len(folders),
        digest=digest.hexdigest(),
    )


def clean_indices(subject: Subject, prepared: preprocess.ModelInput) -> NDArray[np.int64]:
    """Model slices without lesion within the margin and with enough brain."""
    geometry = prepared.geometry
    turned = preprocess.turned(subject.lesion.astype(np.float32), geometry.axes, geometry.flips)
    lesion = preprocess.reduced(turned, geometry.factors).any(axis=(1, 2))
    near = np.convolve(lesion, np.ones(2 * CLEAN_MARGIN + 1), mode="same") > 0
    brain_share = prepared.brain.mean(axis=(1, 2))
    return np.flatnonzero(~near & (brain_share > MIN_BRAIN_SHARE))

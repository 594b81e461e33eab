"""A collection of subjects on disk: who is in which split, and the volume and mask of each.

A *prepared collection*, as `neurosieve-train prepare` writes it:

    <collection>/subjects.csv             subject,group,split,abnormal,lesion_mask,sequence,source
    <collection>/<subject>/image.nii.gz
    <collection>/<subject>/lesion.nii.gz  where `lesion_mask` is yes
    <collection>/refused.csv              source,reason

`group` is what must stay in one split: a patient, or images that are nearly the same. `split` is
train, calibration or test; `abnormal` is yes, no or unknown; `sequence` is FLAIR, T1, T2 or
unknown; `source` says where the image came from.

The older layout is read as well: `<collection>/<subject>/FLAIR.nii.gz` with `mask.nii.gz` or
`wmh.nii.gz` beside it, and a `split.csv` of subject and split under one line of headings. Without
`split.csv` every subject is in the test split. Each subject is then its own group, and whether it
is abnormal is not known.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent import readers
from agent.imaging.volume import Volume

SUBJECTS_FILE = "subjects.csv"
REFUSED_FILE = "refused.csv"
IMAGE_FILE = "image.nii.gz"
LESION_FILE = "lesion.nii.gz"
COLUMNS = ("subject", "group", "split", "abnormal", "lesion_mask", "sequence", "source")

_OLDER_SPLIT_FILE = "split.csv"
_IMAGES = (IMAGE_FILE, "FLAIR.nii.gz")
_LESIONS = (LESION_FILE, "mask.nii.gz", "wmh.nii.gz")
_ANSWERS = {"yes": True, "no": False, "unknown": None}


class Split(StrEnum):
    """What a subject may be used for."""

    TRAIN = "train"
    CALIBRATION = "calibration"
    TEST = "test"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One subject of a collection, its image still unread. `abnormal` is None where unknown."""

    name: str
    folder: Path
    group: str
    split: Split
    abnormal: bool | None


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One volume with its lesion mask on the same grid; all False where there is no mask."""

    name: str
    volume: Volume
    lesion: NDArray[np.bool_]
    abnormal: bool | None
    group: str


def members(collection_folder: Path) -> tuple[Member, ...]:
    """All subjects of a collection, in the order of its table, or by name where it has none.

    Raises FileNotFoundError where there is no such folder, ValueError for a table that says
    something else than this page.
    """
    if not collection_folder.is_dir():
        raise FileNotFoundError(f"There is no collection {collection_folder}.")
    if (collection_folder / SUBJECTS_FILE).is_file():
        return _prepared(collection_folder)
    if (collection_folder / _OLDER_SPLIT_FILE).is_file():
        return _with_split_file(collection_folder)
    folders = sorted(path for path in collection_folder.iterdir() if path.is_dir())
    return tuple(_older(folder, Split.TEST) for folder in folders)


def of_split(listed: Iterable[Member], split: Split) -> tuple[Member, ...]:
    """Those of one split, in the order given."""
    return tuple(member for member in listed if member.split is split)


def read(member: Member) -> Subject:
    """The image of a subject in canonical order, with its mask.

    Raises FileNotFoundError without an image, ValueError for a mask of another shape,
    UnreadableInput for damaged files.
    """
    volume = readers.read_nifti(image_file(member))
    mask = _first(member.folder, _LESIONS)
    lesion = (
        np.zeros(volume.voxels.shape, dtype=np.bool_)
        if mask is None
        else readers.read_nifti(mask).voxels > 0
    )
    if lesion.shape != volume.voxels.shape:
        raise ValueError(f"Image and mask of {member.folder} have different shapes.")
    return Subject(
        name=member.name,
        volume=volume,
        lesion=lesion,
        abnormal=member.abnormal,
        group=member.group,
    )


def image_file(member: Member) -> Path:
    """Where a subject's image lies; raises FileNotFoundError without one."""
    image = _first(member.folder, _IMAGES)
    if image is None:
        raise FileNotFoundError(f"{member.folder} holds no image ({' or '.join(_IMAGES)}).")
    return image


def _prepared(folder: Path) -> tuple[Member, ...]:
    table = folder / SUBJECTS_FILE
    with table.open(newline="", encoding="utf-8") as handle:
        rows = csv.DictReader(handle)
        missing = set(COLUMNS[:4]) - set(rows.fieldnames or ())
        if missing:
            raise ValueError(f"{table} lacks the column {' and '.join(sorted(missing))}.")
        return tuple(_member(folder, row, f"{table}, line {rows.line_num}") for row in rows)


def _member(folder: Path, row: dict[str, str], where: str) -> Member:
    if row["abnormal"] not in _ANSWERS:
        raise ValueError(f'{where}: abnormal is "{row["abnormal"]}", not yes, no or unknown.')
    return Member(
        name=row["subject"],
        folder=_inside(folder, row["subject"], where),
        group=row["group"],
        split=_split(row["split"], where),
        abnormal=_ANSWERS[row["abnormal"]],
    )


def _with_split_file(folder: Path) -> tuple[Member, ...]:
    table = folder / _OLDER_SPLIT_FILE
    with table.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.reader(handle))[1:]
    found = []
    for number, row in enumerate(rows, start=2):
        where = f"{table}, line {number}"
        if not row:
            continue
        if len(row) < 2:
            raise ValueError(f"{where} is not a subject and its split.")
        found.append(_older(_inside(folder, row[0], where), _split(row[1], where)))
    return tuple(found)


def _older(folder: Path, split: Split) -> Member:
    return Member(name=folder.name, folder=folder, group=folder.name, split=split, abnormal=None)


def _inside(folder: Path, name: str, where: str) -> Path:
    """The folder of a subject, whose name must not lead out of the collection."""
    if Path(name).name != name:
        raise ValueError(f'{where}: "{name}" is not the name of a subject.')
    return folder / name


def _split(text: str, where: str) -> Split:
    try:
        return Split(text)
    except ValueError as error:
        names = ", ".join(Split)
        raise ValueError(f'{where}: the split "{text}" is none of {names}.') from error


def _first(folder: Path, names: Iterable[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)

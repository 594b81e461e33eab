"""Which folders of a path stand for a patient, and not for a class, a share or the whole set."""

from collections.abc import Sequence
from pathlib import PurePath

from model_training.prepare.classes import FolderClasses

# Folders that stand for a share or a kind of files; a patient of that name would be split wrongly.
_NO_PATIENT = frozenset(
    {"train", "training", "val", "valid", "validation", "test", "testing"}
    | {"data", "images", "imgs", "img", "anat", "nifti"}
)


def of_patients(insides: Sequence[PurePath], classes: FolderClasses) -> list[tuple[str, ...]]:
    """For each file the folders that tell it from others: below the class, without what all share.

    Empty where all images lie together, so that each stands for itself.
    """
    below = [_below_class(inside.parts[:-1], classes) for inside in insides]
    shared = _shared(below)
    if len(below) == 1:  # a lone image keeps its folder
        shared = max(shared - 1, 0)
    return [folders[shared:] for folders in below]


def _below_class(folders: tuple[str, ...], classes: FolderClasses) -> tuple[str, ...]:
    """What follows the innermost class folder, without folders that name no patient."""
    said = [place for place, folder in enumerate(folders) if classes.of(folder) is not None]
    kept = folders[said[-1] + 1 :] if said else folders
    return tuple(folder for folder in kept if folder.lower() not in _NO_PATIENT)


def _shared(below: Sequence[tuple[str, ...]]) -> int:
    """How many leading folders all files have in common."""
    if not below:
        return 0
    first, last = min(below), max(below)  # what these two share, all between them share
    pairs = zip(first, last, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), len(first))

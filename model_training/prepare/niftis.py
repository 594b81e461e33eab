"""NIfTI sources: BIDS, a folder for each subject, or volumes in one folder, and their masks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import nibabel
import numpy as np

from agent import readers
from agent.imaging.volume import Volume
from model_training.prepare import folders, names, participants
from model_training.prepare.findings import Candidate, Found, Unusable
from model_training.prepare.kinds import Why
from model_training.prepare.names import Name
from model_training.prepare.request import Request

nib: Any = nibabel  # it says that it is typed, but most of its functions are not

_NOT_ANATOMICAL = frozenset({"func", "dwi", "fmap", "perf", "pet", "meg", "eeg", "ieeg", "mrs"})
COMPUTED = frozenset({"derivatives", "sourcedata"})


@dataclass(frozen=True, kw_only=True)
class File:
    """One NIfTI file, its path inside the source, and what its name says."""

    path: Path
    inside: PurePath
    name: Name


def find(files: Sequence[Path], request: Request) -> Found:
    """Volumes of the wanted sequence with the lesion mask that belongs to each."""
    found = Found()
    listed = [_file(path, request.source) for path in files]
    masks = [file for file in listed if file.name.mask]
    images = _wanted([file for file in listed if not file.name.mask], request, found)
    in_folder = Counter(image.inside.parent for image in images)
    people = participants.read(request.source, request.classes)
    tells = folders.of_patients([image.inside for image in images], request.classes)
    used: set[Path] = set()
    for image, own in zip(images, tells, strict=True):
        alone = in_folder[image.inside.parent] == 1
        try:
            mask = mask_of(image, masks, alone=alone)
        except Unusable as problem:
            found.refuse(str(image.inside), problem.why, str(problem))
            continue
        used.update({mask.path} if mask else ())
        found.candidates.append(
            Candidate(
                name=_name(image, own, alone=alone),
                group=image.name.subject or (own[0] if own else image.name.stem),
                source=str(image.inside),
                image=(image.path,),
                mask=mask.path if mask else None,
                sequence=image.name.sequence or request.sequence,
                abnormal=_abnormal(image, request, people),
            )
        )
    _refuse_unused([mask for mask in masks if mask.path not in used], found)
    return found


def read(path: Path) -> Volume:
    """A volume in canonical order.

    Raises UnreadableInput; Unusable where it does not say how it lies or holds no numbers.
    """
    volume = readers.read_nifti(path)
    image = nib.load(path)
    if not int(image.header["qform_code"]) and not int(image.header["sform_code"]):
        raise Unusable(
            Why.ORIENTATION,
            f"{path.name} does not say how it lies in the patient: qform and sform code are 0.",
        )
    # The reader puts 0 where a value is no number; training should not learn from such holes.
    if image.get_data_dtype().kind == "f" and not np.isfinite(np.asarray(image.dataobj)).all():
        raise Unusable(
            Why.NO_NUMBERS,
            f"{path.name} holds values that are no numbers (NaN or infinite); where they are only "
            "the background, replace them by 0.",
        )
    return volume


def mask_of(image: File, masks: Sequence[File], *, alone: bool) -> File | None:
    """The lesion mask of an image.

    In BIDS it has the same subject and session, wherever it lies; elsewhere it lies beside the
    image and has the rest of its name, or any name where the image is `alone` in its folder.
    """
    fitting = [mask for mask in masks if not mask.name.not_lesion and _same_visit(image, mask)]
    if image.name.subject is None:
        beside = [mask for mask in fitting if mask.inside.parent == image.inside.parent]
        named = [mask for mask in beside if mask.name.rest == image.name.rest]
        fitting = named or (beside if alone else [])
    fitting = [mask for mask in fitting if mask.name.run == image.name.run] or fitting
    fitting = [mask for mask in fitting if mask.name.lesion] or fitting
    if len(fitting) > 1:
        listed = " and ".join(str(mask.inside) for mask in fitting[:3])
        raise Unusable(Why.MASK, f"Several masks belong to it: {listed}; leave one of them.")
    return fitting[0] if fitting else None


def _file(path: Path, source: Path) -> File:
    inside = path.relative_to(source)
    return File(path=path, inside=inside, name=names.parse(inside))


def _wanted(files: Sequence[File], request: Request, found: Found) -> list[File]:
    """Images of the wanted sequence, or that name none where none beside them names it."""
    kept = []
    for file in files:
        why, reason = _against(file, request) or (None, "")
        if why is None:
            kept.append(file)
        else:
            found.refuse(str(file.inside), why, reason)
    named = {file.inside.parent for file in kept if file.name.sequence}
    for file in kept:
        if not file.name.sequence and file.inside.parent in named:
            reason = f"Its name does not say {request.wanted}, and another beside it does."
            found.refuse(str(file.inside), Why.OTHER_SEQUENCE, reason)
    return [file for file in kept if file.name.sequence or file.inside.parent not in named]


def _against(file: File, request: Request) -> tuple[Why, str] | None:
    """Why a file is not read, by its name and place alone."""
    name, above = file.name, set(file.inside.parts[:-1])
    if above & COMPUTED:
        return Why.OTHER_FILE, "It is no source image: it lies among derivatives or source data."
    if name.subject and above & _NOT_ANATOMICAL:
        return Why.OTHER_FILE, f"It lies in {file.inside.parent.name}, not among anatomical images."
    if name.other or name.sequence not in (None, request.wanted):
        said = name.sequence or name.other
        return Why.OTHER_SEQUENCE, f"Its name says {said}; {request.wanted} is read."
    if name.sequence is None and name.subject and "anat" in above:
        return Why.OTHER_SEQUENCE, f"Its name does not say {request.wanted}."
    return None


def _same_visit(image: File, mask: File) -> bool:
    own, other = image.name, mask.name
    return own.subject == other.subject and own.session == other.session


def _name(image: File, own: tuple[str, ...], *, alone: bool) -> str:
    """Subject and session where the name has them, else the folder, else the file."""
    name = image.name
    if name.subject:
        return "_".join(part for part in (name.subject, name.session, name.run) if part)
    return names.safe("_".join(own if own and alone else (*own, name.stem)))


def _abnormal(image: File, request: Request, people: dict[str, bool]) -> bool | None:
    by_folder = request.classes.of_folders(image.inside.parts[:-1])
    return people.get(image.name.subject or "") if by_folder is None else by_folder


def _refuse_unused(masks: Sequence[File], found: Found) -> None:
    for mask in masks:
        reason = (
            "It is a mask of something else than a lesion."
            if mask.name.not_lesion
            else "It is a mask, and no image that is read belongs to it."
        )
        found.refuse(str(mask.inside), Why.OTHER_FILE, reason)

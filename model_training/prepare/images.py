"""2D image sources: folders by class, by patient, or one folder; each image stands for itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from agent import pictures
from agent.imaging.volume import Volume
from model_training.prepare import folders, names
from model_training.prepare.findings import Candidate, Found
from model_training.prepare.kinds import Why
from model_training.prepare.names import Name
from model_training.prepare.request import Request


@dataclass(frozen=True, kw_only=True)
class File:
    """One image file, its path inside the source, and what its name says."""

    path: Path
    inside: PurePath
    name: Name
    abnormal: bool | None  # by its folder


def find(files: Sequence[Path], request: Request) -> Found:
    """Each image with its class, its patient where name or folder tells, and its mask."""
    found = Found()
    masks, images = _apart([_file(path, request) for path in files], found)
    classed = any(image.abnormal is not None for image in images)
    kept = []
    for image in images:
        why, reason = _against(image, request, classed=classed) or (None, "")
        if why is None:
            kept.append(image)
        else:
            found.refuse(str(image.inside), why, reason)
    tells = folders.of_patients([image.inside for image in kept], request.classes)
    for image, own in zip(kept, tells, strict=True):
        found.candidates.append(_candidate(image, own, masks.get(_key(image)), request))
    patients = {own[0] for own in tells if own}
    if patients:
        found.notes.append(f"Images of one folder are one patient: {len(patients)} folders.")
    if kept and not classed and not request.all_normal:
        found.notes.append("No folder says which images are abnormal, so that is unknown.")
    return found


def read(path: Path) -> Volume:
    """One image as a volume of one slice, a TIFF of several pages as one of several."""
    return pictures.read_images(path, arrangement=pictures.Arrangement.STACK)[0]


def _file(path: Path, request: Request) -> File:
    inside = path.relative_to(request.source)
    return File(
        path=path,
        inside=inside,
        name=names.parse(inside),
        abnormal=request.classes.of_folders(inside.parts[:-1]),
    )


def _key(file: File) -> tuple[PurePath, str]:
    """What an image and its mask have in common."""
    return file.inside.parent, file.name.rest


def _apart(
    files: Sequence[File], found: Found
) -> tuple[dict[tuple[PurePath, str], File], list[File]]:
    """Masks by what they have in common with their image, and the images.

    A name may say "lesion" and mean an image, so that only a name with "mask" is refused where no
    image lies beside it.
    """
    images = [file for file in files if not file.name.mask]
    beside = {_key(image) for image in images}
    masks: dict[tuple[PurePath, str], File] = {}
    for file in files:
        if not file.name.mask:
            continue
        if _key(file) in beside and masks.setdefault(_key(file), file) is file:
            continue
        if _key(file) in beside or "mask" in file.name.stem.lower():
            reason = "It is a mask, and no image is left that it belongs to."
            found.refuse(str(file.inside), Why.MASK, reason)
        else:
            images.append(file)
    return masks, images


def _against(image: File, request: Request, *, classed: bool) -> tuple[Why, str] | None:
    """Why an image is not read, by its name and folder alone."""
    name = image.name
    if request.sequence and (name.other or name.sequence not in (None, request.sequence)):
        said = name.sequence or name.other
        return Why.OTHER_SEQUENCE, f"Its name says {said}; {request.sequence} is read."
    if classed and image.abnormal is None and not request.all_normal:
        return Why.CLASS, (
            f'Its folder "{image.inside.parent}" says neither abnormal nor normal; name it with '
            "--abnormal-folder or --normal-folder."
        )
    return None


def _candidate(image: File, own: tuple[str, ...], mask: File | None, request: Request) -> Candidate:
    return Candidate(
        name=_name(image, own),
        group=image.name.subject or (own[0] if own else str(image.inside)),
        source=str(image.inside),
        image=(image.path,),
        mask=mask.path if mask else None,
        sequence=image.name.sequence or request.sequence,
        abnormal=image.abnormal,
        find_lookalikes=image.name.subject is None,
    )


def _name(image: File, own: tuple[str, ...]) -> str:
    """The subject where the name tells it, else class folder, patient folder and file."""
    if image.name.subject:
        return image.name.subject
    folder = image.inside.parent.name if image.abnormal is not None and not own else ""
    return names.safe("_".join(part for part in (folder, *own, image.name.stem) if part))

"""The files of a source, which kind of data they are, and the room that reads that kind."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent import pictures
from agent.errors import UnreadableInput
from agent.imaging.volume import Volume
from model_training.prepare import images, names, niftis, participants, settling, studies
from model_training.prepare.findings import Candidate, Found
from model_training.prepare.kinds import Kind, Why
from model_training.prepare.request import Request

_USUAL_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,4}")
_MAGIC = b"DICM"  # after 128 bytes of preamble (PS3.10 7.1)
# Where a source holds several kinds: DICOM folders hold screenshots, and BIDS folders hold both.
_PREFERRED = (Kind.NIFTI, Kind.DICOM, Kind.IMAGES)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All files of a source by kind, in the order of their paths; AUTO stands for none of them."""

    kind: Kind
    files: dict[Kind, list[Path]]


def listing(request: Request) -> Listing:
    """Look through the source. Raises UnreadableInput where it holds no file of the kind."""
    if not request.source.is_dir():
        raise UnreadableInput(f"There is no folder {request.source}.")
    files: dict[Kind, list[Path]] = {kind: [] for kind in Kind}
    for path in _walk(request.source):
        files[_kind_of(path)].append(path)
    wanted = _PREFERRED if request.kind is Kind.AUTO else (request.kind,)
    kind = next((kind for kind in wanted if files[kind]), None)
    if kind is None:
        what = "DICOM, NIfTI or 2D images" if request.kind is Kind.AUTO else request.kind.value
        raise UnreadableInput(f"{request.source} holds no file that is {what}.")
    return Listing(kind=kind, files=files)


def find(listed: Listing, request: Request) -> Found:
    """Everything the source holds of its kind, and the rest as refused."""
    finders = {Kind.DICOM: studies.find, Kind.NIFTI: niftis.find, Kind.IMAGES: images.find}
    found = finders[listed.kind](listed.files[listed.kind], request)
    for folder, count in sorted(_scans_apart(listed, request.source).items()):
        reason = f"It holds {count} DICOM files and no {listed.kind}, as which the source is read."
        found.refuse(folder, Why.OTHER_KIND, reason)
    for ending, count in sorted(_endings(_others(listed, request)).items()):
        files = "1 file" if count == 1 else f"{count} files"
        reason = f"Not read: the source was taken as {listed.kind}."
        found.refuse(f"{files}: {ending}", Why.OTHER_FILE, reason)
    return found


def read(candidate: Candidate, kind: Kind) -> tuple[Volume, Volume | None]:
    """The image of a candidate and its mask, if any. Raises UnreadableInput or Unusable."""
    if kind is Kind.DICOM:
        return studies.read(candidate.image), None
    reader = niftis.read if kind is Kind.NIFTI else images.read
    return reader(candidate.image[0]), reader(candidate.mask) if candidate.mask else None


def _walk(source: Path) -> list[Path]:
    """Every file below a folder; links to folders are not followed, for they may go in circles."""
    found = [Path(folder) / file for folder, _, files in os.walk(source) for file in files]
    return sorted(found, key=lambda path: path.relative_to(source).as_posix())


def _kind_of(path: Path) -> Kind:
    name = path.name.lower()
    if name.startswith("."):
        return Kind.AUTO
    if name.endswith(names.NIFTI_SUFFIXES):
        return Kind.NIFTI
    if path.suffix.lower() in pictures.ACCEPTED:
        return Kind.IMAGES
    if name.endswith((".dcm", ".ima")):  # damaged ones too, so that they are refused by name
        return Kind.DICOM
    return Kind.DICOM if _has_magic(path) else Kind.AUTO


def _has_magic(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == _MAGIC
    except OSError:  # a dangling link, a file we may not read: counted by its ending
        return False


def _others(listed: Listing, request: Request) -> list[Path]:
    """Files of other kinds, the tables that are read apart."""
    tables = {
        request.groups_file,
        settling.table_of(request),
        request.source / participants.FILE_NAME,
    }
    others = (files for kind, files in listed.files.items() if kind != listed.kind)
    return [path for files in others for path in files if path not in tables]


def _scans_apart(listed: Listing, source: Path) -> Counter[str]:
    """Folders at the top that hold DICOM but nothing of the kind that is read: whole patients who
    would be missed. BIDS keeps DICOM in `sourcedata` on purpose."""
    if listed.kind is Kind.DICOM:
        return Counter()

    def tops(kind: Kind) -> Iterator[str]:
        inside = (path.relative_to(source).parts for path in listed.files[kind])
        yield from (parts[0] for parts in inside if len(parts) > 1)

    read = {*tops(listed.kind), *niftis.COMPUTED}
    return Counter(top for top in tops(Kind.DICOM) if top not in read)


def _endings(files: Iterable[Path]) -> Counter[str]:
    """How many files there are of each ending; what is no usual ending might name a patient."""
    return Counter(
        "hidden"
        if path.name.startswith(".")
        else path.suffix.lower()
        if _USUAL_ENDING.fullmatch(path.suffix)
        else "other"
        for path in files
    )

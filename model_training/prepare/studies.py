"""DICOM sources: studies found by their headers, one series of each, and no word about the patient.

Folder and file names may name patients as headers do, so the collection holds pseudonyms only.
"""

import tempfile
from collections.abc import Iterable, Sequence
from os.path import commonpath
from pathlib import Path

from pydicom.dataset import Dataset

from agent import readers
from agent.dicom import series, volumes
from agent.dicom.frames import Frame
from agent.imaging.volume import Volume
from model_training.prepare import pseudonyms, weightings
from model_training.prepare.findings import Candidate, Found, Unusable
from model_training.prepare.kinds import Why
from model_training.prepare.pseudonyms import Pseudonyms
from model_training.prepare.request import Request

_NAMING = ("PatientID", "PatientName", "PatientBirthDate", "AccessionNumber", "OtherPatientIDs")


def find(files: Sequence[Path], request: Request) -> Found:
    """One series of each study, chosen as the node chooses, under names that reveal nobody."""
    found = Found()
    secret = pseudonyms.load(request.private)
    for study, paths in sorted(_by_study(files, request.source, secret, found).items()):
        headers, _ = series.read_headers(paths)
        _take(study, _once(headers, found), request, secret, found)
    kept = secret.keep(request.private)
    found.notes.append(f"{kept} says what the pseudonyms stand for; it may name patients.")
    return found


def read(paths: Sequence[Path]) -> Volume:
    """A series as a volume in canonical order, its values as the scanner's rescaling gives them.

    Raises Unusable with a sentence that names no file.
    """
    try:
        volume = volumes.load(paths).volume
    except volumes.BadGeometry as error:
        raise Unusable(Why.GEOMETRY, _nameless(str(error), paths)) from error
    except volumes.UnreadablePixels as error:
        raise Unusable(Why.UNREADABLE, _nameless(str(error), paths)) from error
    with tempfile.TemporaryDirectory() as folder:  # the NIfTI reader turns sagittal to axial
        path = Path(folder) / "series.nii"
        readers.write_nifti(path, volume.voxels, volume)
        return readers.read_nifti(path)


def _by_study(
    files: Iterable[Path], source: Path, secret: Pseudonyms, found: Found
) -> dict[str, list[Path]]:
    """The files of each study, by its UID; no header is kept, for there may be very many."""
    studies: dict[str, list[Path]] = {}
    for path in files:
        headers, unreadable = series.read_headers([path])
        uid = Frame(headers[0]).text("StudyInstanceUID") if headers else ""
        if uid:
            studies.setdefault(uid, []).append(path)
            continue
        reason = unreadable[0].sentence if unreadable else "The file does not name its study."
        inside = str(path.relative_to(source))
        name = secret.of("file", inside, inside)
        found.refuse(name, Why.UNREADABLE, _nameless(reason, [path]))
    return studies


def _once(headers: Iterable[Dataset], found: Found) -> list[Dataset]:
    """Each image once, though the source may hold copies of the same files."""
    kept: dict[str, Dataset] = {}
    copies = 0
    for header in headers:
        copies += kept.setdefault(Frame(header).text("SOPInstanceUID"), header) is not header
    if copies:
        found.notes.append(f"{copies} files of one study are copies of others and were not read.")
    return list(kept.values())


def _take(
    study: str, headers: Sequence[Dataset], request: Request, secret: Pseudonyms, found: Found
) -> None:
    """Choose the series of one study and note what is passed over."""
    paths = [Path(str(header.filename)) for header in headers]
    insides = [str(path.relative_to(request.source).parent) for path in paths]
    name = secret.of("study", study, commonpath(insides))
    pick = weightings.choose(headers, request.wanted)
    if pick.series_uid is None:
        found.refuse(name, Why.NO_SERIES, _discreet(pick.sentence, headers))
    for title, reason in pick.passed_over if pick.series_uid or len(pick.passed_over) > 1 else ():
        said = f"{title[:1].upper()}{title[1:]}: {reason}."
        found.refuse(name, Why.PASSED_OVER, _discreet(said, headers))
    if pick.series_uid is None:
        return
    found.candidates.append(
        Candidate(
            name=name,
            group=secret.of("patient", _patient(headers[0], study)),
            source=name,
            image=tuple(
                path
                for path, header in zip(paths, headers, strict=True)
                if Frame(header).text("SeriesInstanceUID") == pick.series_uid
            ),
            sequence=request.wanted,
            abnormal=request.classes.of_folders(Path(commonpath(insides)).parts),
        )
    )


def _patient(header: Dataset, study: str) -> str:
    """What tells patients apart: the id, else name and birth date, else each study is its own."""
    frame = Frame(header)
    named = f"{frame.text('PatientName')}|{frame.text('PatientBirthDate')}"
    return frame.text("PatientID") or (named if named != "|" else study)


def _discreet(sentence: str, headers: Iterable[Dataset]) -> str:
    """A sentence about series without what their descriptions say of the patient."""
    naming = _naming(headers)
    for keyword in ("SeriesDescription", "ProtocolName"):
        for description in {Frame(header).text(keyword) for header in headers} - {""}:
            plain = pseudonyms.without(description, naming)
            sentence = sentence.replace(description, plain)
    return sentence


def _naming(headers: Iterable[Dataset]) -> set[str]:
    """Every value of the headers that names the patient, and the parts of a name."""
    values = {Frame(header).text(keyword) for header in headers for keyword in _NAMING}
    return values | {part for value in values for part in value.replace("^", " ").split()}


def _nameless(sentence: str, paths: Iterable[Path]) -> str:
    for name in sorted({path.name for path in paths}, key=len, reverse=True):
        sentence = sentence.replace(name, "the file")
    return sentence[:1].upper() + sentence[1:]

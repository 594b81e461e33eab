"""A site's own studies in a folder, one after the other, as the node would read them.

DICOM files are put together by study, however deep they lie; NIfTI volumes are a study each. Where
the names of volumes say the sequence, only those of the wanted one are read, and masks never.

Volumes are of one patient where BIDS says so: in one folder `sub-…`, or under names that begin with
one `sub-…`. Else the folder of a volume is a patient, or the volume where its folder holds several:
two people are never taken for one.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import examination, pictures, pipeline, readers
from agent.calibration import Refused, Scored
from agent.dicom import file_reader
from agent.dicom.frames import Frame
from agent.dicom.series import SeriesRules
from agent.errors import AgentError, UnreadableInput
from agent.imaging.results import Findings, NotAnalysed
from agent.inference import AnomalyModel

_NIFTI = (".nii", ".nii.gz")
_SEQUENCES = re.compile(r"flair|t1w?|t2w?|pdw?|dwi|swi|adc|bold", re.IGNORECASE)
_NO_IMAGE = re.compile(r"mask|wmh|lesion|seg|label|roi", re.IGNORECASE)
# `sub-01`, also where the session follows in the same name: `sub-01_ses-2`.
_SUBJECT_FOLDER = re.compile(r"sub-.+?(?=_ses-|$)")
_SUBJECT_FILE = re.compile(r"sub-.+?(?=_[a-z]+-|_[A-Za-z]\w*\.nii|\.nii)", re.IGNORECASE)
_WITHIN_SUBJECT = re.compile(r"ses-.+|anat")


@dataclass(frozen=True, kw_only=True)
class SiteStudy:
    """One study on disk: DICOM files, or a single volume. `patient` only tells people apart."""

    name: str
    patient: str
    files: tuple[Path, ...]


def find(folder: Path, sequence: str) -> list[SiteStudy]:
    """The studies in a folder, by name.

    Raises UnreadableInput where there is none, or only single images.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    volumes = [path for path in files if path.name.lower().endswith(_NIFTI)]
    found = [*_volumes(volumes, folder, sequence), *_dicom(files, folder)]
    if found:
        return found
    if any(path.suffix.lower() in pictures.ACCEPTED for path in files):
        raise UnreadableInput(
            f"{folder} holds single images; a threshold for studies needs whole studies, as DICOM "
            "or NIfTI."
        )
    raise UnreadableInput(f"{folder} holds no DICOM study and no NIfTI volume.")


def score(study: SiteStudy, model: AnomalyModel, rules: SeriesRules) -> Scored | Refused:
    """What the model says of a study that is known to hold no tumour."""
    try:
        result = _read(study, model, rules)
    except (AgentError, OSError) as error:
        return Refused(name=study.name, reason=str(error))
    return answer(study.name, study.patient, result)


def answer(name: str, patient: str, result: Findings | NotAnalysed) -> Scored | Refused:
    """What was said of a study, for a calibration."""
    if isinstance(result, NotAnalysed):
        return Refused(name=name, reason=result.sentence)
    return Scored(
        name=name,
        patient=patient,
        study_score=result.study_score,
        slice_scores=tuple(float(one) for one in result.slice_scores),
    )


def _read(study: SiteStudy, model: AnomalyModel, rules: SeriesRules) -> Findings | NotAnalysed:
    if study.files[0].name.lower().endswith(_NIFTI):
        volume = readers.read_nifti(study.files[0])
        return pipeline.analyse(volume, model, model.description.thresholds)
    return examination.examine(examination.read(study.files, rules), model).result


def _volumes(files: Sequence[Path], folder: Path, sequence: str) -> Iterator[SiteStudy]:
    images = [path for path in files if not _NO_IMAGE.search(path.name)]
    named = [path for path in images if sequence.casefold() in path.name.casefold()]
    plain = [path for path in images if not _SEQUENCES.search(path.name)]
    chosen = named or plain
    together = Counter(path.parent for path in chosen)
    for path in chosen:
        place = path.relative_to(folder)
        patient = _patient(place, alone=together[path.parent] == 1)
        yield SiteStudy(name=place.as_posix(), patient=patient, files=(path,))


def _patient(place: Path, *, alone: bool) -> str:
    """Whose volume lies there: a name below the folders above, as two collections may count alike.

    `alone` says that its folder holds no other one.
    """
    above = [part for part in place.parent.parts if not _WITHIN_SUBJECT.fullmatch(part)]
    named = _SUBJECT_FILE.match(place.name)
    if named:
        others = [part for part in above if _subject(part) != named.group()]
        return Path(*others, named.group()).as_posix()
    depths = [depth for depth, part in enumerate(above) if _subject(part)]
    if depths:
        return Path(*above[: depths[-1]], _subject(above[depths[-1]])).as_posix()
    return Path(*above).as_posix() if alone and place.parent.parts else place.as_posix()


def _subject(folder: str) -> str:
    found = _SUBJECT_FOLDER.match(folder)
    return found.group() if found else ""


def _dicom(files: Sequence[Path], folder: Path) -> Iterator[SiteStudy]:
    studies: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for path in files:
        try:
            header = Frame(file_reader.read(path, pixels=False))
        except UnreadableInput:
            continue
        study_uid = header.text("StudyInstanceUID")
        if study_uid:
            studies[study_uid, header.text("PatientID") or study_uid].append(path)
    for (study_uid, patient), found in studies.items():
        place = found[0].parent.relative_to(folder).as_posix()
        yield SiteStudy(name=f"{place} (…{study_uid[-12:]})", patient=patient, files=tuple(found))

"""One study from disk, without a node: whatever the file format, the same calculation."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from agent import composition, examination, export, pictures, pipeline, readers
from agent.composition import Appearance
from agent.dicom import windows
from agent.dicom.series import SeriesRules
from agent.errors import UnreadableInput
from agent.examination import Reading
from agent.export import Answer
from agent.imaging.results import Findings, NotAnalysed
from agent.inference import AnomalyModel

NIFTI = (".nii", ".nii.gz")
Progress = Callable[[float], None]


def analyse(
    path: Path,
    out: Path,
    model: AnomalyModel,
    *,
    rules: SeriesRules,
    appearance: Appearance,
    progress: Progress,
) -> list[Findings | NotAnalysed]:
    """Analyse a DICOM folder or file, a NIfTI volume, 2D images; write everything into `out`.

    Raises UnreadableInput when there is nothing of these kinds.
    """
    if path.name.lower().endswith(NIFTI):
        return _nifti(path, out, model, progress)
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    if any(file.suffix.lower() in pictures.ACCEPTED for file in files):
        return _pictures(path, out, model, progress)
    return _dicom(files, out, model, rules, appearance, progress)


def _nifti(
    path: Path, out: Path, model: AnomalyModel, progress: Progress
) -> list[Findings | NotAnalysed]:
    volume = readers.read_nifti(path)
    result = pipeline.analyse(volume, model, model.description.thresholds, progress=progress)
    answer = Answer(volume=volume, result=result)
    export.write(out, [answer], model, source_column="file", like=path)
    return [result]


def _pictures(
    path: Path, out: Path, model: AnomalyModel, progress: Progress
) -> list[Findings | NotAnalysed]:
    volumes = readers.read_images(path)
    answers = []
    for number, volume in enumerate(volumes, start=1):
        result = pipeline.analyse(volume, model, model.description.thresholds)
        answers.append(Answer(volume=volume, result=result))
        progress(number / len(volumes))
    note = (
        f"{readers.NOMINAL_NOTE} Nor do they say what they show: the model reads "
        f"{model.description.sequence} and answers nonsense for anything else."
    )
    export.write(out, answers, model, source_column="file", note=note)
    return [answer.result for answer in answers]


def _dicom(
    files: Sequence[Path],
    out: Path,
    model: AnomalyModel,
    rules: SeriesRules,
    appearance: Appearance,
    progress: Progress,
) -> list[Findings | NotAnalysed]:
    reading = examination.read(files, rules)
    _check_one_study(reading)
    examined = examination.examine(reading, model, progress=progress)
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    analysis = examination.record(
        reading,
        examined.result,
        model,
        input_sha256=examination.digest(digests),
        created_at=datetime.now(UTC),
    )
    evidence = f"All {len(reading.headers)} DICOM images of the given folder were read."
    objects = composition.compose(
        reading, examined, analysis, appearance, completion_evidence=evidence
    )
    volume = examined.loaded.volume if examined.loaded else None
    stated = windows.stated(examined.loaded.source) if examined.loaded else ()
    answer = Answer(volume=volume, result=examined.result, windows=stated)
    export.write(out, [answer], model, source_column=export.DICOM_COLUMN)
    _write_objects(out / "dicom", objects)
    return [examined.result]


def _check_one_study(reading: Reading) -> None:
    found = {str(header.StudyInstanceUID) for header in reading.headers}
    if len(found) > 1:
        raise UnreadableInput(f"There are {len(found)} studies in this folder; name one of them.")


def _write_objects(folder: Path, objects: composition.Objects) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.dcm"):  # of an earlier run
        old.unlink()
    for number, (role, dataset) in enumerate(objects, start=1):
        dataset.save_as(folder / f"{number:04d}-{role.lower()}.dcm", enforce_file_format=True)

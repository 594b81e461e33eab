"""Series as they lie on disk, read as the node reads them, and what judges say of their results."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import config, dcmread
from pydicom.datadict import dictionary_description, dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

import builders
import object_checks
import results
import validators
from agent import examination
from agent.dicom import series, volumes
from agent.dicom.objects import encoding
from agent.dicom.objects.profiles import Profile, Syntax
from agent.imaging.results import Findings
from agent.imaging.volume import Volume
from object_checks import Built
from results import Analysed
from storage.enums import Role
from storage.records import StudyUid

_FROM_SOURCE = "would be needed to build DICOMDIR"
"""What the validator says of an object whose source does not tell patient or study."""


def small(*, enhanced: bool = False, **more: object) -> list[Dataset]:
    """A series that is quick to draw results on, with one lesion."""
    grid = {"slices": 2, "rows": 32, "columns": 32} | more
    if enhanced:
        return [builders.enhanced_flair(**grid)]  # type: ignore[arg-type]
    return builders.flair_series(**grid)  # type: ignore[arg-type]


def stored(datasets: Sequence[Dataset], folder: Path) -> list[Path]:
    """The files of a series."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03d}.dcm" for number in range(len(datasets))]
    with config.disable_value_validation():
        for dataset, path in zip(datasets, paths, strict=True):
            dataset.save_as(path, enforce_file_format=True)
    return paths


def put(dataset: Dataset, keyword: str, value: bytes) -> None:
    """Write a value as bytes, as scanners write it past any library that would mind."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    padded = value + b" " * (len(value) % 2)
    dataset[tag] = RawDataElement(
        Tag(tag),
        dictionary_VR(tag),
        len(padded),
        padded,
        0,
        is_implicit_VR=False,
        is_little_endian=True,
    )


def analysed(paths: Sequence[Path], labels: NDArray[np.uint16] | None = None) -> Analysed:
    """The series in these files with these lesions, or with one on its first slice."""
    headers, unreadable = series.read_headers(paths)
    assert unreadable == []
    loaded = volumes.load(paths)
    volume = loaded.volume
    if labels is None:
        labels = np.zeros(volume.voxels.shape, dtype=np.uint16)
        labels[0, 8:14, 9:13] = 1
    answer = painted(volume, labels)
    case = results.of_answer(loaded.source.datasets, volume, answer)
    context = replace(
        case.context,
        source=loaded.source,
        study=tuple(headers),
        decisions=series.choose(headers).decisions,
        lesions=examination.lesions(
            StudyUid(str(headers[0].StudyInstanceUID)),
            answer,
            case.context.analysis,
            case.context.namespace,
        ),
    )
    return replace(case, context=context)


def painted(volume: Volume, labels: NDArray[np.uint16]) -> Findings:
    """An answer that marks exactly these lesions."""
    anomaly = (labels > 0).astype(np.float32)
    scores = anomaly.max(axis=(1, 2)).astype(np.float64)
    numbers = range(1, int(labels.max()) + 1)
    return Findings(
        anomaly_map=anomaly,
        labels=labels,
        slice_scores=scores,
        slice_p_values=np.exp(-3.0 * scores),
        slice_anomalous=np.asarray(labels.any(axis=(1, 2)), dtype=np.bool_),
        study_score=1.0,
        study_p_value=0.01,
        pixel_threshold=0.6,
        regions=tuple(builders.region(volume, anomaly, labels, number) for number in numbers),
    )


def faults(made: Built, case: Analysed, folder: Path, *, sheared: bool = False) -> list[str]:
    """What dciodvfy, pydicom and highdicom find wrong with the first object of each kind.

    highdicom makes no volume of frames that are `sheared` by a gantry tilt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for role, dataset in first_of_each(made):
        said = validators.dciodvfy(dataset, folder)
        found += [line for line in said if line.startswith("Error")]
        found += [line for line in validators.unexplained(said) if _FROM_SOURCE not in line]
        file = folder / f"{dataset.SOPInstanceUID}.dcm"
        dcmread(file).walk(_decode)
        if not (sheared and role is Role.SEGMENTATION):
            differs = object_checks.read_back(dataset, file, case)
            found += [f"{role}: {differs}"] if differs else []
    return found


def _decode(_: Dataset, element: DataElement) -> None:
    """Look at a value, which raises where it is damaged."""
    str(element.value)


def told(found: Sequence[str], keywords: Iterable[str]) -> list[str]:
    """The faults that are not about these headers, repeated as they came."""
    known = ["contains invalid data values"]
    for keyword in keywords:
        known += [f"<{keyword}>", f"<{_name(keyword)}>", f" {_name(keyword)} "]
    return [line for line in found if not any(words in line for words in known)]


def _name(keyword: str) -> str:
    return dictionary_description(keyword)


def first_of_each(made: Built) -> Built:
    """One object of each kind."""
    return list(dict(reversed(made)).items())[::-1]


def encoded(
    made: Built, profile: Profile, folder: Path, syntaxes: Iterable[Syntax] = Syntax
) -> list[Dataset]:
    """One object of each kind as it is read back from each transfer syntax."""
    folder.mkdir(parents=True, exist_ok=True)
    back: list[Dataset] = []
    for role, dataset in first_of_each(made):
        for syntax in syntaxes:
            copy = deepcopy(dataset)
            encoding.encode(copy, role, replace(profile, transfer_syntax=syntax))
            copy.save_as(folder / "object.dcm", enforce_file_format=True)
            back.append(dcmread(folder / "object.dcm"))
            back[-1].walk(_decode)
    return back

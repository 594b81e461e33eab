"""Every result object of a series before the judges: dciodvfy, dcmqi, highdicom and an Orthanc."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

import dcmqi
import results
import validators
from agent import composition
from agent.dicom import part10, sender
from agent.dicom.objects.profiles import MapValues, Profile, ReportClass
from agent.dicom.sender import SendItem
from agent.dicom.volumes import LoadedSeries
from orthanc import Orthanc
from results import Analysed, points_mm
from storage.enums import Role
from storage.records import ResultObject, SeriesUid, SopUid

Built = list[tuple[Role, Dataset]]

EVERYTHING = Profile(
    parametric_map=MapValues.FLOAT32, key_images=True, derived_series=True, rejection_note=True
)
VARIANTS = {
    "Parametric Map uint16": (Role.PARAMETRIC_MAP, Profile(parametric_map=MapValues.UINT16)),
    "Comprehensive SR": (Role.REPORT, Profile(report=ReportClass.COMPREHENSIVE)),
    "Enhanced SR": (Role.REPORT, Profile(report=ReportClass.ENHANCED)),
}
OLD_RESULT = tuple(
    ResultObject(
        sop_uid=SopUid(f"2.25.7{number}"),
        sop_class_uid=sop_class,
        series_uid=SeriesUid(f"2.25.8{number}"),
        role=role,
        profile="",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        path="",
        sha256="",
        size_bytes=0,
    )
    for number, (role, sop_class) in enumerate(
        (
            (Role.REPORT, "1.2.840.10008.5.1.4.1.1.88.34"),
            (Role.SEGMENTATION, "1.2.840.10008.5.1.4.1.1.66.4"),
        )
    )
)
"""What the objects under test replace."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What each judge said of one kind of object; an empty text where nothing is wrong.

    `orthanc` is None where none was asked, `dcmqi` where it reads no such object.
    """

    name: str
    files: int
    errors: int
    warnings: tuple[str, ...]
    unexplained: tuple[str, ...]
    dcmqi: str | None
    highdicom: str
    orthanc: str | None

    @property
    def clean(self) -> bool:
        """Whether no judge found a fault."""
        faults = (self.errors, self.unexplained, self.dcmqi, self.highdicom, self.orthanc)
        return not any(faults)


def objects(case: Analysed, profile: Profile) -> Built:
    """The objects of a profile, as those that replace an older result."""
    context = replace(case.context, profile=profile, replaces=OLD_RESULT)
    assert context.source is not None
    loaded = LoadedSeries(volume=case.volume, source=context.source)
    return list(composition.build(context, case.findings, loaded))


def judged(
    series: Sequence[Dataset], folder: Path, orthanc: Orthanc | None = None
) -> list[Verdict]:
    """The verdicts on every kind of object of a series of the phantom."""
    case = results.analysed(series)
    kinds: dict[str, list[Dataset]] = {}
    for role, dataset in objects(case, EVERYTHING):
        kinds.setdefault(role.replace("_", " ").capitalize(), []).append(dataset)
    for name, (role, profile) in VARIANTS.items():
        kinds[name] = [one for kind, one in objects(case, profile) if kind is role]
    return [
        _judge(name, made, case, folder / name.replace(" ", "-"), orthanc)
        for name, made in kinds.items()
    ]


def _judge(
    name: str, made: list[Dataset], case: Analysed, folder: Path, orthanc: Orthanc | None
) -> Verdict:
    folder.mkdir(parents=True)
    files = []
    for number, dataset in enumerate(made):
        files.append(folder / f"{number:03d}.dcm")
        dataset.save_as(files[-1], enforce_file_format=True)
    ends = (made[0], made[-1])
    said = [line for dataset in ends for line in validators.dciodvfy(dataset, folder)]
    warnings = {line for line in said if line.startswith("Warning")}
    return Verdict(
        name=name,
        files=len(files),
        errors=sum(line.startswith("Error") for line in said),
        warnings=tuple(sorted(warnings)),
        unexplained=tuple(validators.unexplained(said)),
        dcmqi=_ask_dcmqi(made[0], files[0], case, folder / "dcmqi"),
        highdicom=read_back(made[0], files[0], case),
        orthanc=None if orthanc is None else ask_orthanc(made, files, orthanc),
    )


def _ask_dcmqi(dataset: Dataset, file: Path, case: Analysed, folder: Path) -> str | None:
    if dataset.Modality == "SEG":
        return _same_places(dcmqi.segments_mm(file, folder), case)
    if "FloatPixelData" in dataset:  # it crashes on maps of integers, whoever made them
        values, affine = dcmqi.map_values(file, folder)
        return _same_values(values, _starts_mm(affine, len(values)), case)
    if dataset.Modality == "SR":
        groups = dcmqi.report_groups(file, folder)
        wanted = 1 + 2 * len(case.context.lesions)
        return "" if len(groups) == wanted else f"{len(groups)} groups of {wanted}"
    return None


def _same_places(found: dict[int, NDArray[np.float64]], case: Analysed) -> str:
    for region in case.findings.regions:
        wanted = points_mm(case.findings.labels == region.number, case.volume.affine)
        points = found.get(region.number)
        if points is None or points.shape != wanted.shape:
            return f"segment {region.number} has other voxels"
        if np.abs(points - wanted).max() > 0.05:
            return f"segment {region.number} is {np.abs(points - wanted).max():.2f} mm off"
    return ""


def _starts_mm(affine: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Where each slice starts, in LPS mm."""
    return np.asarray(affine[:3, 3] + np.outer(np.arange(count), affine[:3, 0]))


def _same_values(
    values: NDArray[np.floating[Any]],
    corners_mm: NDArray[np.float64],
    case: Analysed,
    off: float = 0.0,
) -> str:
    """Whether frames `[n, row, column]` hold the map of the slices that start at these corners."""
    starts = _starts_mm(case.volume.affine, len(case.volume.voxels))
    away = np.linalg.norm(corners_mm[:, None] - starts[None], axis=2)
    nearest = away.argmin(axis=1)
    if sorted(nearest) != list(range(len(starts))) or away.min(axis=1).max() > 0.02:
        return "frames lie elsewhere"
    most = float(np.abs(values - case.findings.anomaly_map[nearest]).max())
    return "" if most <= off else f"values off by {most:g}"


def read_back(dataset: Dataset, file: Path, case: Analysed) -> str:
    """What differs once highdicom, or pydicom where it has no reader, reads an object."""
    read = dcmread(file)
    if dataset.Modality == "SEG":
        seg = highdicom.seg.segread(file)
        voxels = seg.get_volume(combine_segments=True, skip_overlap_checks=False).array
        counts = np.bincount(voxels.ravel().astype(int), minlength=len(case.findings.regions) + 1)[
            1:
        ]
        wanted = [int((case.findings.labels == one.number).sum()) for one in case.findings.regions]
        return "" if counts.tolist() == wanted else f"{counts.tolist()} voxels, not {wanted}"
    if dataset.Modality == "SR":
        report = highdicom.sr.srread(file)
        content = cast(highdicom.sr.MeasurementReport, report.content)
        groups = content.get_planar_roi_measurement_groups()
        lesions = len(case.context.lesions)
        return "" if len(groups) == lesions else f"{len(groups)} outlines of {lesions}"
    if dataset.Modality == "KO":
        note = highdicom.ko.KeyObjectSelectionDocument.from_dataset(read)
        return "" if note.content.get_references() else "no reference"
    if "ParametricMap" in str(dataset.SOPClassUID.name).replace(" ", ""):
        return _map_read_back(read, case)
    return "" if np.array_equal(read.pixel_array, dataset.pixel_array) else "other pixels"


def _map_read_back(read: Dataset, case: Analysed) -> str:
    shared = read.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    real = read.pixel_array * shared.RealWorldValueSlope + shared.RealWorldValueIntercept
    allowed = 0.0 if "FloatPixelData" in read else shared.RealWorldValueSlope / 2 * (1 + 1e-6)
    frames = read.PerFrameFunctionalGroupsSequence
    corners = [frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames]
    return _same_values(real, np.array(corners, dtype=float), case, allowed)


def ask_orthanc(made: list[Dataset], files: list[Path], orthanc: Orthanc) -> str:
    """What an Orthanc refuses of these objects, or gives back changed."""
    items = [
        SendItem(
            path=file,
            sop_uid=SopUid(str(dataset.SOPInstanceUID)),
            sop_class_uid=str(dataset.SOPClassUID),
            transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
        )
        for dataset, file in zip(made, files, strict=True)
    ]
    outcomes = sender.send(items, orthanc.destination, calling_ae="NEUROSIEVE")
    refused = [outcome.message for outcome in outcomes if not outcome.stored]
    if refused:
        return refused[0]
    for item in items:
        if _data_set(orthanc.file_of(item.sop_uid)) != _data_set(item.path.read_bytes()):
            return f"{item.sop_uid} came back changed"
    return ""


def _data_set(file: bytes) -> bytes:
    """A DICOM file without its header."""
    return bytes(part10.parse(file).encoded)

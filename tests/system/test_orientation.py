"""A lesion in the left frontal lobe is shown and named there, however the patient was scanned."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

import builders
import object_checks
import places
import real_head
import results
from agent import composition, examination, inference
from agent.composition import Appearance
from agent.dicom.frames import Frame, frames_of
from agent.dicom.objects.profiles import USUAL
from agent.dicom.series import SeriesRules
from agent.imaging.results import Findings
from agent.inference import OnnxModel, Provider
from answers import CREATED_AT
from mr_headers import NAMESPACE
from phantom import PLANES
from storage.enums import Role, Side

pytestmark = pytest.mark.slow

Series = list[Dataset]
CENTRE_MM, RADIUS_MM = np.array(real_head.BALL_CENTRE_MM), real_head.BALL_RADIUS_MM
THIN_MM, THICK_MM = (1.5, 1.5, 1.5), (5.0, 1.25, 1.25)


def _series(plane: str, *, thin: bool = False, nod_degrees: float = 0.0) -> Series:
    """The real head; slices tilted as it nods are anatomically axial, as a technologist plans."""
    slices, size = (130, 160) if thin else (28, 176)
    return builders.flair_series(
        slices=slices,
        rows=size,
        columns=size,
        plane=PLANES[plane],
        spacing_mm=THIN_MM if thin else THICK_MM,
        head=partial(real_head.head, nod_degrees=nod_degrees),
    )


SCANS: dict[str, Callable[[], Series]] = {
    "2D axial": lambda: _series("axial"),
    "3D sagittal": lambda: _series("sagittal", thin=True),
    "3D coronal": lambda: _series("coronal", thin=True),
    "oblique": lambda: _series("axial oblique", nod_degrees=17.0),
    "prone": lambda: _series("axial, prone"),
    "feet first": lambda: _series("axial, feet first"),
    "decubitus": lambda: _series("axial, decubitus"),
    "Enhanced MR": lambda: [
        builders.enhanced_flair(
            slices=28, rows=176, columns=176, spacing_mm=THICK_MM, head=real_head.head
        )
    ],
}


def _painted(series: Series) -> results.Analysed:
    """The series with exactly the painted ball marked."""
    volume = builders.volume(series)
    place = np.moveaxis(
        np.tensordot(volume.affine[:3, :3], np.indices(volume.voxels.shape), axes=1), 0, -1
    )
    away = np.linalg.norm(place + volume.affine[:3, 3] - CENTRE_MM, axis=-1)
    anomaly = np.clip(2.0 - away / RADIUS_MM, 0, None).astype(np.float32)
    labels = np.asarray(away <= RADIUS_MM, dtype=np.uint16)
    return results.marked(series, volume, anomaly, labels)


def _half_voxel_mm(case: results.Analysed) -> float:
    return float(np.linalg.norm(case.volume.spacing_mm)) / 2


@pytest.mark.parametrize("scan", SCANS)
def test_every_object_shows_it_within_half_a_voxel(scan: str) -> None:
    case = _painted(SCANS[scan]())
    objects = object_checks.objects(case, USUAL)
    by_role = {role: dataset for role, dataset in objects if role is not Role.HEATMAP}
    pictures = [dataset for role, dataset in objects if role is Role.HEATMAP]
    plain = [
        dataset
        for role, dataset in object_checks.objects(results.unmarked(case), USUAL)
        if role is Role.HEATMAP
    ]
    found = {
        "segmentation": _middle_of_segment(by_role[Role.SEGMENTATION]),
        "outline": _middle_of_outline(by_role[Role.REPORT], case),
        "heatmap": _middle_of_colour(pictures, plain),
    }
    for name, middle in found.items():
        assert np.linalg.norm(middle - CENTRE_MM) <= _half_voxel_mm(case), (name, middle)


def _middle_of_segment(seg: Dataset) -> NDArray[np.float64]:
    points = [
        places.of_pixels(frame, *np.nonzero(image))
        for frame, image in zip(frames_of(seg), seg.pixel_array, strict=True)
    ]
    return np.asarray(np.concatenate(points).mean(axis=0))


def _middle_of_outline(report: Dataset, case: results.Analysed) -> NDArray[np.float64]:
    """From the polyline and the image it is drawn on alone."""
    outline = next(item for item in _items(report) if _is_region(item))
    reference = outline.ContentSequence[0].ReferencedSOPSequence[0]
    assert case.context.source is not None
    image = next(
        Frame(dataset, number)
        for dataset, number in case.context.source.slices()
        if dataset.SOPInstanceUID == reference.ReferencedSOPInstanceUID
        and number == reference.get("ReferencedFrameNumber")
    )
    corners = np.array(outline.GraphicData, dtype=float).reshape(-1, 2)
    column, row = (corners.min(axis=0) + corners.max(axis=0)) / 2 - 0.5
    return np.asarray(places.of_pixels(image, np.array([row]), np.array([column]))[0])


def _items(dataset: Dataset) -> list[Dataset]:
    children = list(dataset.get("ContentSequence", []))
    return children + [item for child in children for item in _items(child)]


def _is_region(item: Dataset) -> bool:
    names = item.get("ConceptNameCodeSequence", [])
    return bool(names) and names[0].CodeValue == "111030"


def _middle_of_colour(pictures: Series, plain: Series) -> NDArray[np.float64]:
    """Where a picture has colour that the picture without a finding has not."""
    points = []
    for picture, without in zip(pictures, plain, strict=True):
        coloured = _has_colour(picture) & ~_has_colour(without)
        rows, columns = np.nonzero(coloured)
        points.append(places.of_pixels(Frame(picture), rows[::7], columns[::7]))
    cloud = np.concatenate(points)
    return np.asarray((cloud.min(axis=0) + cloud.max(axis=0)) / 2)


def _has_colour(picture: Dataset) -> NDArray[np.bool_]:
    return np.asarray(np.ptp(picture.pixel_array.astype(int), axis=-1) > 30)


@pytest.fixture(scope="module")
def model() -> OnnxModel:
    return inference.load(inference.default_folder(), provider=Provider.CPU)


@pytest.mark.parametrize("scan", SCANS)
def test_the_model_finds_it_and_the_report_says_left(
    scan: str, model: OnnxModel, tmp_path: Path
) -> None:
    files = []
    for number, dataset in enumerate(SCANS[scan]()):
        files.append(tmp_path / f"{number}.dcm")
        dataset.save_as(files[-1], enforce_file_format=True)
    reading = examination.read(files, SeriesRules())
    examined = examination.examine(reading, model)
    assert isinstance(examined.result, Findings), examined.result
    nearest = min(
        examined.result.regions,
        key=lambda region: float(np.linalg.norm(np.subtract(region.centroid_mm, CENTRE_MM))),
    )
    assert np.linalg.norm(np.subtract(nearest.centroid_mm, CENTRE_MM)) < RADIUS_MM / 2
    analysis = examination.record(
        reading, examined.result, model, input_sha256="0" * 64, created_at=CREATED_AT
    )
    lesions = examination.lesions(reading.study_uid, examined.result, analysis, NAMESPACE)
    assert lesions[nearest.number - 1].side is Side.LEFT
    _, report = next(
        composition.compose(
            reading, examined, analysis, Appearance(namespace=NAMESPACE), completion_evidence="test"
        )
    )
    assert _laterality(report, f"Lesion {nearest.number}") == {"Left"}


def _laterality(report: Dataset, name: str) -> set[str]:
    """What the groups of one lesion say."""
    groups = [item for item in _items(report) if _tracked(item) == name]
    return {
        item.ConceptCodeSequence[0].CodeMeaning
        for group in groups
        for item in _items(group)
        if item.ConceptNameCodeSequence[0].CodeValue == "272741003"
    }


def _tracked(group: Dataset) -> str:
    for item in group.get("ContentSequence", []):
        if item.ConceptNameCodeSequence[0].CodeValue == "112039":
            return str(item.TextValue)
    return ""

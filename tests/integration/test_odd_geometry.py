"""Stacks of every kind get results at the right place in the patient, or a sentence on why not."""

import random
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

import builders
import places
import stored_series
from agent.dicom.frames import Frame, frames_of
from agent.dicom.volumes import BadGeometry
from mr_headers import decimals, item
from object_checks import EVERYTHING, Built, objects
from places import Points
from storage.enums import Role

Series = list[Dataset]


def classic(**more: object) -> Series:
    return stored_series.small(**({"slices": 5, "rows": 24, "columns": 36} | more))  # type: ignore[arg-type]


def enhanced(**more: object) -> Series:
    return classic(enhanced=True, **more)


def in_any_order() -> Series:
    series = classic()
    random.Random(7).shuffle(series)
    return series


def tilted() -> Series:
    """A gantry tilt: each slice lies 1.5 mm further back than the one below."""
    series = classic()
    for number, dataset in enumerate(series):
        x, y, z = map(float, dataset.ImagePositionPatient)
        dataset.ImagePositionPatient = decimals((x, y + 1.5 * number, z))
    return series


def thick() -> Series:
    """Slices twice as thick as they lie apart."""
    series = classic()
    for dataset in series:
        dataset.SliceThickness = "60"
    return series


def frames_in_any_order() -> Series:
    """Frames stored in another order than they lie, numbered as they lie."""
    (dataset,) = enhanced()
    order = [3, 0, 4, 2, 1]
    groups = dataset.PerFrameFunctionalGroupsSequence
    dataset.PerFrameFunctionalGroupsSequence = [groups[index] for index in order]
    dataset.PixelData = dataset.pixel_array[order].tobytes()
    return [dataset]


def groups_of_each_frame() -> Series:
    """Spacing, orientation and rescale in each frame instead of once."""
    (dataset,) = enhanced()
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for number, groups in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        for keyword in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
            setattr(groups, keyword, deepcopy(shared[keyword].value))
        groups.PixelValueTransformationSequence = item(
            RescaleIntercept=str(10 * number), RescaleSlope=str(1 + number), RescaleType="US"
        )
    for keyword in (
        "PixelMeasuresSequence",
        "PlaneOrientationSequence",
        "PixelValueTransformationSequence",
    ):
        delattr(shared, keyword)
    return [dataset]


NARROW = (5.0, 1.1, 0.9)
GOOD: dict[str, Callable[[], Series]] = {
    "files in any order": in_any_order,
    "gantry tilt": tilted,
    "slices that overlap": thick,
    "one slice": lambda: classic(slices=1),
    "two slices": lambda: classic(slices=2),
    "pixels that are not square": lambda: classic(spacing_mm=NARROW),
    "more rows than columns": lambda: classic(rows=36, columns=24, spacing_mm=NARROW),
    "oblique, not square": lambda: classic(
        spacing_mm=NARROW, plane=builders.PLANES["axial oblique"]
    ),
    "left-handed": lambda: classic(plane=builders.PLANES["axial, head to feet"]),
    "mirrored columns": lambda: classic(plane=builders.PLANES["axial, mirrored columns"]),
    "sagittal": lambda: classic(plane=builders.PLANES["sagittal"], spacing_mm=NARROW),
    "enhanced, frames in any order": frames_in_any_order,
    "enhanced, groups of each frame": groups_of_each_frame,
    "enhanced, one frame": lambda: enhanced(slices=1),
    "enhanced, left-handed, not square": lambda: enhanced(
        plane=builders.PLANES["axial, head to feet"], spacing_mm=NARROW
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_every_object_shows_the_lesion_where_the_images_say_it_lies(
    name: str, tmp_path: Path
) -> None:
    files = stored_series.stored(GOOD[name](), tmp_path / "source")
    frames = stored_series.analysed(files)
    shape = frames.volume.voxels.shape
    labels = np.zeros(shape, dtype=np.uint16)
    at = shape[0] // 3
    labels[at : at + 2, 11:17, 9:14] = 1
    case = stored_series.analysed(files, labels)
    made = objects(case, EVERYTHING)
    assert case.context.source is not None
    slices = enumerate(case.context.source.slices())
    wanted = np.concatenate(
        [places.of_pixels(Frame(*named), *np.nonzero(labels[index])) for index, named in slices]
    )
    sheared = name == "gantry tilt"
    assert stored_series.faults(made, case, tmp_path / "made", sheared=sheared) == []
    half_a_voxel = min(case.volume.spacing_mm) / 2
    for role, found in shown(made, shape[1:]).items():
        assert found.shape == wanted.shape, role
        away = np.linalg.norm(found[:, None] - wanted[None], axis=2)
        assert max(away.min(axis=0).max(), away.min(axis=1).max()) < half_a_voxel, role


def shown(made: Built, matrix: tuple[int, int]) -> dict[str, Points]:
    """The places that objects mark, from the geometry that each of them states."""
    marked: dict[str, list[Points]] = {}
    for role, dataset in made:
        if role in (Role.SEGMENTATION, Role.PARAMETRIC_MAP, Role.DERIVED_SERIES):
            pixels = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
            for frame, image in zip(frames_of(dataset), pixels, strict=True):
                marked.setdefault(role, []).append(places.of_pixels(frame, *np.nonzero(image)))
        elif role is Role.HEATMAP:
            marked.setdefault(role, []).append(
                places.of_pixels(Frame(dataset), *coloured(dataset, matrix))
            )
    return {role: np.concatenate(points) for role, points in marked.items()}


def coloured(
    picture: Dataset, matrix: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The pixels of a picture under the middle of a source pixel that show colour."""
    down, along = picture.Rows // matrix[0], picture.Columns // matrix[1]
    middles = picture.pixel_array[down // 2 :: down, along // 2 :: along]
    upper = middles[: 3 * len(middles) // 4]  # below is the legend
    rows, columns = np.nonzero(np.ptp(upper.astype(int), axis=-1) > 40)
    return rows * down + down // 2, columns * along + along // 2


def shifted(series: Series, index: int, millimetres: float) -> Series:
    x, y, z = map(float, series[index].ImagePositionPatient)
    series[index].ImagePositionPatient = decimals((x, y, z + millimetres))
    return series


def without(series: Series, *indices: int) -> Series:
    return [dataset for index, dataset in enumerate(series) if index not in indices]


def two_stacks() -> Series:
    (dataset,) = enhanced()
    for groups in dataset.PerFrameFunctionalGroupsSequence[3:]:
        groups.FrameContentSequence[0].StackID = "2"
    return [dataset]


def frame_elsewhere() -> Series:
    (dataset,) = enhanced()
    position = dataset.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0]
    x, y, z = map(float, position.ImagePositionPatient)
    position.ImagePositionPatient = decimals((x, y, z + 9))
    return [dataset]


BAD: dict[str, tuple[Callable[[], Series], str]] = {
    "a gap": (
        lambda: without(classic(slices=8), 3),
        r"1 slice is missing between image 3 and image 5: 36\.0 mm where the others are 18\.0 mm",
    ),
    "a wide gap": (
        lambda: without(classic(slices=9), 3, 4),
        r"2 slices are missing between image 3 and image 6",
    ),
    "uneven spacing": (
        lambda: shifted(classic(slices=8), 3, 7.0),
        r"not evenly spaced: .* between image [34] and image [45]",
    ),
    "an interleaved second pass": (
        lambda: classic() + shifted(classic(series="x"), 2, 0)[2:3],
        r"different series|same place",
    ),
    "two stacks": (two_stacks, "2 stacks of slices; one is needed"),
    "a frame elsewhere": (frame_elsewhere, r"between frame [23] and frame [34]"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_broken_stack_is_refused_with_a_sentence_on_where(name: str, tmp_path: Path) -> None:
    build, sentence = BAD[name]
    files = stored_series.stored(build(), tmp_path)
    with pytest.raises(BadGeometry, match=sentence):
        stored_series.analysed(files)

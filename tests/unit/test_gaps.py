"""Missing slices, seen in the positions of a series."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

import builders
from agent.dicom import gaps
from enhanced import enhanced_flair
from reception import saved

SPACING_MM = (6.0, 3.5, 3.5)


def series(
    slices: int = 12, *, name: str = "flair", plane: builders.Plane = builders.AXIAL
) -> list[Dataset]:
    return builders.flair_series(
        slices=slices, rows=16, columns=16, spacing_mm=SPACING_MM, series=name, plane=plane
    )


def faults(datasets: Sequence[Dataset], folder: Path) -> tuple[str, ...]:
    shapes = gaps.survey(item.path for item in saved(datasets, folder))
    return tuple(fault for one in shapes for fault in one.faults)


@pytest.mark.parametrize("plane", builders.PLANES.values(), ids=builders.PLANES)
def test_a_whole_series_has_no_fault(plane: builders.Plane, tmp_path: Path) -> None:
    assert faults(series(plane=plane), tmp_path) == ()


def test_a_hole_is_counted_and_placed(tmp_path: Path) -> None:
    whole = series()
    assert faults(whole[:4] + whole[6:], tmp_path) == (
        "2 slices are missing between image 4 and image 7",
    )


def test_several_holes_are_all_named(tmp_path: Path) -> None:
    whole = series(30)
    assert faults(whole[:4] + whole[5:20] + whole[21:], tmp_path) == (
        "1 slice is missing between image 4 and image 6",
        "1 slice is missing between image 20 and image 22",
    )


def test_an_image_twice_at_one_place_is_a_fault(tmp_path: Path) -> None:
    whole = series()
    twin = builders.flair_series(slices=12, rows=16, columns=16, spacing_mm=SPACING_MM)[3]
    twin.SOPInstanceUID = builders.uid("twin")
    (fault,) = faults([*whole, twin], tmp_path)
    assert fault == "2 images lie at the place of image 4 and 1 at each of the others"


def test_several_echoes_are_complete_and_one_that_lacks_is_not(tmp_path: Path) -> None:
    both = series()
    for number, one in enumerate(series()):
        one.SOPInstanceUID = builders.uid("second echo", number)
        one.InstanceNumber = 100 + number
        both.append(one)
    assert faults(both, tmp_path / "both") == ()
    (fault,) = faults(both[:-3] + both[-2:], tmp_path / "lacking")
    assert fault.endswith("and 2 at each of the others")


def test_uneven_distances_and_few_slices_are_no_holes(tmp_path: Path) -> None:
    uneven = series()
    for number, one in enumerate(uneven):
        x, y, _ = one.ImagePositionPatient
        one.ImagePositionPatient = [x, y, number * 6.0 + (number % 3) * 2.5]
    assert faults(uneven, tmp_path / "uneven") == ()
    assert faults(series()[:2] + series()[4:5], tmp_path / "few") == ()


def test_a_localiser_of_three_planes_is_complete(tmp_path: Path) -> None:
    planes = [one for plane in builders.PLANES.values() for one in series(5, plane=plane)]
    for number, one in enumerate(planes):
        one.SOPInstanceUID = builders.uid("localiser", number)
    assert faults(planes, tmp_path) == ()


def test_what_has_no_positions_or_many_frames_is_left_alone(tmp_path: Path) -> None:
    blind = series()
    for one in blind:
        del one.ImagePositionPatient
    assert faults(blind, tmp_path / "blind") == ()
    assert faults([enhanced_flair(slices=4, rows=16, columns=16)], tmp_path / "enhanced") == ()


def test_a_damaged_file_is_passed_over(tmp_path: Path) -> None:
    items = saved(series()[:4], tmp_path)
    items[0].path.write_bytes(b"no DICOM")
    (shape,) = gaps.survey([*(item.path for item in items), tmp_path / "gone.dcm"])
    assert (shape.number, shape.description, shape.faults) == ("4", "AX T2 FLAIR", ())


def test_the_slice_that_a_published_series_lacks_is_found(shared_data: Path) -> None:
    """The axial T2 of this public study ends with image 56 and holds 55 images."""
    folder = shared_data / "dicom" / "adi_brain_t1_t2" / "series_6"
    (shape,) = gaps.survey(sorted(folder.iterdir()))
    assert shape.faults == ("1 slice is missing between image 34 and image 36",)

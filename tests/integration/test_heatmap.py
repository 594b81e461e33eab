"""The pictures lie in the patient like the slices they were drawn on, and carry the marking."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless

import builders
import results
from agent.dicom import volumes
from agent.dicom.objects import equipment, heatmap
from agent.dicom.objects.profiles import Slices
from agent.imaging.edges import Edges
from agent.imaging.render import Painter
from agent.imaging.window import Window
from storage.enums import Role
from validators import dciodvfy_errors


def built(case: results.Analysed) -> list[Dataset]:
    return list(heatmap.build(case.context, case.findings, case.volume))


def corners_mm(image: Dataset) -> NDArray[np.float64]:
    """LPS mm of the outer corners of the first and of the last pixel."""
    down, along = map(float, image.PixelSpacing)
    cosines = np.array(image.ImageOrientationPatient, dtype=float)
    start = np.array(image.ImagePositionPatient, dtype=float)
    ends = ((-0.5, -0.5), (image.Rows - 0.5, image.Columns - 0.5))
    return np.array([start + r * down * cosines[3:] + c * along * cosines[:3] for r, c in ends])


@pytest.mark.parametrize("name", ["axial", "axial oblique", "axial, prone", "sagittal"])
def test_each_picture_covers_the_slice_it_was_drawn_on(name: str) -> None:
    series = builders.flair_series(slices=6, plane=builders.PLANES[name])
    pictures = built(results.analysed(series))
    assert len(pictures) == 6
    for picture, source in zip(pictures, series, strict=True):
        np.testing.assert_allclose(corners_mm(picture), corners_mm(source), atol=1e-3)
        assert picture.FrameOfReferenceUID == source.FrameOfReferenceUID
        (named,) = picture.SourceImageSequence
        assert named.ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_sides_of_the_patient_are_lettered() -> None:
    picture = built(results.analysed(builders.flair_series(slices=3)))[0]
    assert picture.PatientOrientation == ["L", "P"]


def test_pictures_of_an_enhanced_series_name_their_frame() -> None:
    pictures = built(results.analysed([builders.enhanced_flair(slices=5)]))
    frames = [picture.SourceImageSequence[0].ReferencedFrameNumber for picture in pictures]
    assert frames == [1, 2, 3, 4, 5]
    assert len({picture.SOPInstanceUID for picture in pictures}) == 5


def test_the_pixels_are_the_drawn_picture() -> None:
    case = results.analysed(builders.flair_series())
    index = case.context.lesions[0].slice_index
    letters = Edges(left="R", right="L", top="A", bottom="P")
    window = Window(black=0.0, white=639.0)
    painter = Painter(case.volume, case.findings, windows=[window], edges=letters)
    assert painter.scale.window == window
    np.testing.assert_array_equal(built(case)[index].pixel_array, painter.draw(index))


def test_a_useless_window_of_the_source_is_not_used() -> None:
    series, plain = builders.flair_series(slices=4), builders.flair_series(slices=4)
    for dataset, bare in zip(series, plain, strict=True):
        dataset.WindowCenter, dataset.WindowWidth = "32768", "65535"
        del bare.WindowCenter, bare.WindowWidth
    for picture, fitted in zip(*map(pixels, (series, plain)), strict=True):
        np.testing.assert_array_equal(picture, fitted)


def pixels(series: list[Dataset]) -> list[NDArray[np.uint8]]:
    return [picture.pixel_array for picture in built(results.analysed(series))]


@pytest.mark.parametrize("enhanced", [False, True])
def test_every_picture_has_the_bytes_of_one_stamped_by_itself(enhanced: bool) -> None:
    series = [builders.enhanced_flair(slices=4)] if enhanced else builders.flair_series(slices=4)
    case = results.analysed(series)
    for picture in built(case):
        alone = Dataset()
        alone.update(picture)
        equipment.stamp(alone, case.context, Role.HEATMAP)
        assert results.encoded(alone) == results.encoded(picture)


def test_changing_one_picture_leaves_the_others_alone() -> None:
    first, second, *_ = built(results.analysed(builders.flair_series(slices=4)))
    before = results.encoded(second)
    first.SeriesDescription, first.PixelSpacing = "changed", ["1", "1"]
    first.PhotometricInterpretation = "YBR_FULL"
    first.file_meta.TransferSyntaxUID = JPEGLSLossless
    assert results.encoded(second) == before


@pytest.mark.parametrize(
    ("rows", "columns", "spacing"), [(64, 64, None), (64, 32, (20.0, 3.0, 6.0)), (320, 260, None)]
)
def test_the_grid_is_a_whole_multiple_of_the_source_and_covers_it(
    rows: int, columns: int, spacing: tuple[float, float, float] | None
) -> None:
    series = builders.flair_series(slices=3, rows=rows, columns=columns, spacing_mm=spacing)
    for picture, source in zip(built(results.analysed(series)), series, strict=True):
        assert picture.Rows % rows == picture.Columns % columns == 0
        np.testing.assert_allclose(corners_mm(picture), corners_mm(source), atol=1e-3)


def test_pictures_say_that_they_are_marked_and_derived() -> None:
    for picture in built(results.analysed(builders.flair_series(slices=3))):
        assert picture.BurnedInAnnotation == "YES"
        assert picture.ImageType == ["DERIVED", "SECONDARY", "OTHER"]
        assert picture.PhotometricInterpretation == "RGB"


def test_pictures_can_be_limited_to_the_slices_around_lesions() -> None:
    case = results.analysed(builders.flair_series())
    shown = heatmap.build(case.context, case.findings, case.volume, slices=Slices.LESIONS)
    pictures = list(shown)
    found = np.flatnonzero(case.findings.labels.any(axis=(1, 2)))
    assert len(pictures) == found.max() - found.min() + 7
    assert [picture.InstanceNumber for picture in pictures] == list(range(1, len(pictures) + 1))


def test_without_frame_of_reference_the_pictures_are_still_made(tmp_path: Path) -> None:
    series = builders.flair_series(slices=3)
    for dataset in series:
        del dataset.FrameOfReferenceUID
    pictures = built(results.analysed(series))
    assert "FrameOfReferenceUID" not in pictures[0]
    assert "ImagePositionPatient" not in pictures[0]
    assert dciodvfy_errors(pictures[0], tmp_path) == []


def test_a_volume_of_other_images_is_refused() -> None:
    case = results.analysed(builders.flair_series(slices=4))
    other = results.analysed(builders.flair_series(slices=5))
    with pytest.raises(ValueError, match="very volume"):
        list(heatmap.build(case.context, other.findings, other.volume))


def test_building_twice_gives_the_same_bytes() -> None:
    first, second = (
        [results.encoded(each) for each in built(results.analysed(builders.flair_series(slices=4)))]
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("enhanced", [False, True])
def test_dciodvfy_finds_no_error(enhanced: bool, tmp_path: Path) -> None:
    series = [builders.enhanced_flair(slices=5)] if enhanced else builders.flair_series(slices=5)
    for picture in built(results.analysed(series))[::2]:
        assert dciodvfy_errors(picture, tmp_path) == []


def test_a_real_series_is_drawn(shared_data: Path, tmp_path: Path) -> None:
    files = sorted((shared_data / "dicom" / "brainix" / "flair").glob("*.dcm"))
    loaded = volumes.load([dcmread(path) for path in files])
    pictures = built(results.of_loaded(loaded))
    assert len(pictures) == 22
    assert (pictures[0].Rows, pictures[0].Columns) == (576, 576)
    for picture, source in zip(pictures, loaded.source.datasets, strict=True):
        np.testing.assert_allclose(corners_mm(picture), corners_mm(source), atol=1e-3)
    assert dciodvfy_errors(pictures[11], tmp_path) == []

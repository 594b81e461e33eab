"""Data sets of one series as a volume: order, place, grey values, and what is refused."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLosslessSV1, RLELossless

import builders
from agent.dicom import volumes
from agent.dicom.volumes import BadGeometry, UnreadablePixels
from agent.errors import AgentError


def flair(**how: Any) -> list[Dataset]:
    return builders.flair_series(**({"slices": 12, "rows": 16, "columns": 20} | how))


def test_the_lesion_is_found_where_it_is_whatever_the_order_of_the_files() -> None:
    datasets = flair(slices=36, rows=64, columns=64)
    random.Random(2).shuffle(datasets)

    volume = volumes.load(datasets).volume

    bright = np.argwhere(volume.voxels > 620).mean(axis=0)
    where = volume.position_mm((bright[0], bright[1], bright[2]))
    assert where == pytest.approx(builders.LESION_CENTRE_MM, abs=3)


@pytest.mark.parametrize("plane", builders.PLANES)
def test_every_voxel_lies_where_its_header_says(plane: str) -> None:
    datasets = flair(plane=builders.PLANES[plane])

    volume = volumes.load(datasets).volume

    by_uid = {dataset.SOPInstanceUID: dataset for dataset in datasets}
    for index, uid in enumerate(volume.sources):
        dataset = by_uid[uid]
        position = np.array(dataset.ImagePositionPatient, dtype=float)
        cosines = np.array(dataset.ImageOrientationPatient, dtype=float)
        down, along = (float(value) for value in dataset.PixelSpacing)
        expected = position + cosines[:3] * along * 7 + cosines[3:] * down * 5
        assert volume.position_mm((index, 5, 7)) == pytest.approx(expected, abs=1e-3)
        assert np.array_equal(volume.voxels[index], dataset.pixel_array)


@pytest.mark.parametrize("plane", builders.PLANES)
def test_slices_grow_along_the_normal_of_the_images(plane: str) -> None:
    volume = volumes.load(flair(plane=builders.PLANES[plane])).volume

    assert np.linalg.det(volume.affine[:3, [2, 1, 0]]) > 0


def test_the_source_images_stand_in_the_order_of_the_slices() -> None:
    loaded = volumes.load(flair()[::-1])

    uids = tuple(dataset.SOPInstanceUID for dataset in loaded.source.datasets)
    assert loaded.volume.sources == uids
    assert loaded.source.frame_numbers is None
    assert loaded.volume.frame_of_reference_uid == loaded.source.datasets[0].FrameOfReferenceUID


def test_files_are_read_like_data_sets(tmp_path: Path) -> None:
    datasets = flair()
    paths = [tmp_path / f"{index}.dcm" for index in range(len(datasets))]
    for path, dataset in zip(paths, datasets, strict=True):
        dataset.save_as(path, enforce_file_format=True)

    assert np.array_equal(volumes.load(paths).volume.voxels, volumes.load(datasets).volume.voxels)


def test_each_slice_is_rescaled_by_its_own_slope_and_intercept() -> None:
    datasets = flair()
    for index, dataset in enumerate(datasets):
        dataset.RescaleSlope, dataset.RescaleIntercept = str(1 + index / 2), str(-index)

    voxels = volumes.load(datasets).volume.voxels

    assert voxels.dtype == np.float32
    for index, dataset in enumerate(datasets):
        expected = dataset.pixel_array * (1 + index / 2) - index
        assert voxels[index] == pytest.approx(expected)


def test_monochrome1_is_inverted() -> None:
    datasets = flair()
    plain = volumes.load(datasets).volume.voxels
    for dataset in datasets:
        dataset.PhotometricInterpretation = "MONOCHROME1"

    assert np.array_equal(volumes.load(datasets).volume.voxels, 4095 - plain)


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_accepted() -> None:
    datasets = flair(plane=builders.PLANES["axial oblique"], spacing_mm=(1.03, 1.0, 1.0))
    for dataset in datasets:
        dataset.ImagePositionPatient = [f"{x:.1f}" for x in dataset.ImagePositionPatient]

    volume = volumes.load(datasets).volume

    assert volume.spacing_mm[0] == pytest.approx(1.03, abs=0.02)


def test_a_sheared_stack_keeps_its_shear() -> None:
    datasets = flair(spacing_mm=(5.0, 1.0, 1.0))
    for index, dataset in enumerate(datasets):
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, f"{float(y) + 0.5 * index:.4f}", z]

    assert volumes.load(datasets).volume.affine[:3, 0] == pytest.approx((0, 0.5, 5))


def test_a_single_image_becomes_one_slice() -> None:
    volume = volumes.load(flair(slices=1)).volume

    assert volume.voxels.shape == (1, 16, 20)
    assert volume.spacing_mm[0] == pytest.approx(144)


def refused(datasets: list[Dataset], kind: type[AgentError] = BadGeometry) -> str:
    """The sentence with which a series is refused, never to be tried again."""
    with pytest.raises(kind) as caught:
        volumes.load(datasets)
    assert not caught.value.retryable
    return str(caught.value)


def test_a_missing_slice_is_refused_and_located() -> None:
    datasets = flair()
    del datasets[5]

    assert refused(datasets) == (
        "1 slice is missing between image 5 and image 7: 24.0 mm where the others are 12.0 mm "
        "apart."
    )


def test_several_missing_slices_are_counted() -> None:
    datasets = flair()
    del datasets[5:7]

    assert "2 slices are missing between image 5 and image 8" in refused(datasets)


def test_uneven_spacing_is_refused() -> None:
    datasets = flair()
    x, y, z = datasets[-1].ImagePositionPatient
    datasets[-1].ImagePositionPatient = [x, y, z + 4]

    assert "not evenly spaced: 16.0 mm" in refused(datasets)


def test_two_images_at_the_same_place_are_refused() -> None:
    datasets = flair()
    datasets[3].ImagePositionPatient = datasets[4].ImagePositionPatient

    assert "image 4 and image 5 lie at the same place" in refused(datasets)


@pytest.mark.parametrize(
    ("keyword", "value", "said"),
    [
        ("EchoTime", "30", "different echo times (120, 30)"),
        ("TemporalPositionIdentifier", "2", "different time points"),
        ("ImageType", ["ORIGINAL", "PRIMARY", "P", "IR"], "different image types"),
    ],
)
def test_repeated_places_are_explained(keyword: str, value: Any, said: str) -> None:
    second = flair(seed=1)
    for dataset in second:
        setattr(dataset, keyword, value)
        dataset.SOPInstanceUID += ".2"

    assert said in refused(flair() + second)


def test_images_of_another_orientation_are_refused() -> None:
    datasets = flair()
    datasets[2].ImageOrientationPatient = ["0", "1", "0", "0", "0", "-1"]

    assert "image 3 is oriented differently from image 1" in refused(datasets)


def test_a_slice_shifted_sideways_is_refused() -> None:
    datasets = flair()
    x, y, z = datasets[6].ImagePositionPatient
    datasets[6].ImagePositionPatient = [x + 5, y, z]

    assert "image 7 lies 5.0 mm off the line" in refused(datasets)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"PixelSpacing": ["1", "1"]}, "different pixel spacings"),
        ({"FrameOfReferenceUID": "2.25.1"}, "different frames of reference"),
        ({"SeriesInstanceUID": "2.25.2"}, "2 different series"),
        ({"Rows": 10, "Columns": 32}, "different sizes: 10 x 32, 16 x 20"),
        ({"ImagePositionPatient": None}, "no usable ImagePositionPatient"),
        ({"ImageOrientationPatient": ["1", "0", "0", "1", "0", "0"]}, "oriented differently"),
    ],
)
def test_mixed_geometry_is_refused(values: dict[str, Any], said: str) -> None:
    datasets = flair()
    for keyword, value in values.items():
        setattr(datasets[3], keyword, value)

    assert said in refused(datasets)


def test_directions_that_are_not_perpendicular_are_refused() -> None:
    datasets = flair()
    for dataset in datasets:
        dataset.ImageOrientationPatient = ["1", "0", "0", "0.7", "0.7", "0"]

    assert "orientation is damaged" in refused(datasets)


def test_an_empty_series_is_refused() -> None:
    assert refused([]) == "The series holds no images."


def test_pixels_cut_off_are_refused_with_what_is_there() -> None:
    datasets = flair()
    datasets[3].PixelData = datasets[3].PixelData[:100]

    assert "640 bytes of pixels are announced, 100 are there" in refused(datasets, UnreadablePixels)


def test_a_damaged_compressed_image_is_refused_with_the_transfer_syntax() -> None:
    datasets = flair()
    datasets[3].compress(RLELossless)
    datasets[3].file_meta.TransferSyntaxUID = JPEGLosslessSV1

    assert "JPEG Lossless" in refused(datasets, UnreadablePixels)


def test_compressed_images_are_decoded() -> None:
    plain = volumes.load(flair()).volume.voxels
    datasets = flair()
    for dataset in datasets:
        dataset.compress(RLELossless)

    assert np.array_equal(volumes.load(datasets).volume.voxels, plain)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "not a grey-scale image"),
        ({"RescaleSlope": "0"}, "rescale slope is 0"),
        ({"Rows": 0}, "holds no pixels"),
        ({"Rows": 65535, "Columns": 65535}, "more than can be read"),
    ],
)
def test_images_that_are_no_grey_images_are_refused(values: dict[str, Any], said: str) -> None:
    datasets = flair()
    for dataset in datasets:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    assert said in refused(datasets, UnreadablePixels)


def test_headers_without_pixels_are_refused() -> None:
    datasets = flair()
    del datasets[0].PixelData

    assert refused(datasets, UnreadablePixels) == "The object holds no pixels."


def test_a_file_that_is_no_dicom_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.dcm"
    path.write_text("no image")

    with pytest.raises(UnreadablePixels, match=r"notes\.dcm is not a DICOM file"):
        volumes.load([path])


def test_a_mosaic_is_refused() -> None:
    datasets = flair(slices=1)
    datasets[0].ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]

    assert "mosaics" in refused(datasets)


def test_a_multi_frame_image_without_functional_groups_is_refused() -> None:
    datasets = flair(slices=1)
    datasets[0].NumberOfFrames = 4

    assert "announces 4 frames but says of 0 where they lie" in refused(datasets)

"""Choosing and loading on real studies of several makers."""

import warnings
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.uid import UID

from agent import readers
from agent.dicom import series, volumes
from agent.dicom.volumes import BadGeometry, UnreadablePixels

NIB: Any = nibabel


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def choose(folder: Path) -> series.Choice:
    headers, unreadable = series.read_headers(files(folder))
    assert not unreadable
    return series.choose(headers)


def test_brainix_flair_is_chosen_and_the_echo_planar_series_passed_over(shared_data: Path) -> None:
    choice = choose(shared_data / "dicom" / "brainix")

    (chosen,) = (decision for decision in choice.decisions if decision.chosen)
    assert "T2-FLAIR by its name" in chosen.reason
    assert "TI 2500 ms, TE 100 ms, TR 9000 ms" in chosen.reason
    assert any('"epi"' in decision.reason for decision in choice.decisions)  # T2W/FE-EPI


def test_brainix_loads_with_every_slice_in_its_place(shared_data: Path) -> None:
    paths = files(shared_data / "dicom" / "brainix" / "flair")

    loaded = volumes.load(paths[::-1])

    assert loaded.volume.voxels.shape == (22, 288, 288)
    assert loaded.volume.spacing_mm == pytest.approx((6.0, 0.7986, 0.7986), abs=1e-3)
    for index, (dataset, _) in enumerate(loaded.source.slices()):
        place = loaded.volume.position_mm((index, 0, 0))
        assert place == pytest.approx(list(dataset.ImagePositionPatient), abs=0.01)


@pytest.mark.parametrize(
    ("folder", "series_count", "said"),
    [
        ("adi_brain_t1_t2", 4, "among the 4 series"),
        ("philips_mprage_sagittal", 1, "gradient-echo"),
        ("philips_enhanced_mr_pcasl", 1, "perfusion"),
        ("ge_fruit_not_a_brain", 1, "gradient-echo"),
        ("reference_seg", 1, "not MR but SEG"),
    ],
)
def test_a_study_without_flair_is_refused_with_a_reason(
    shared_data: Path, folder: str, series_count: int, said: str
) -> None:
    choice = choose(shared_data / "dicom" / folder)

    assert choice.series_uid is None
    assert len(choice.decisions) == series_count
    assert all(decision.reason for decision in choice.decisions)
    assert said in choice.sentence


def test_philips_slopes_are_applied(shared_data: Path) -> None:
    paths = files(shared_data / "dicom" / "philips_mprage_sagittal")

    loaded = volumes.load(paths)

    first = loaded.source.datasets[0]
    assert np.allclose(loaded.volume.voxels[0], first.pixel_array * 2.36166056166056)
    assert loaded.volume.spacing_mm == pytest.approx((2.0, 1.0, 1.0), abs=1e-3)


def test_a_real_series_with_missing_slices_is_refused(shared_data: Path) -> None:
    """Every third slice of a series was kept, but not quite regularly."""
    with pytest.raises(BadGeometry, match="1 slice is missing between image 34 and image 36"):
        volumes.load(files(shared_data / "dicom" / "adi_brain_t1_t2" / "series_6"))


def test_brainix_as_legacy_converted_enhanced_mr_gives_the_same_volume(shared_data: Path) -> None:
    classic = volumes.load(files(shared_data / "dicom" / "brainix" / "flair"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom and highdicom have much to say about BRAINIX
        for dataset in classic.source.datasets:
            # highdicom refuses a sex of "0000" and versions that change from image to image.
            dataset.PatientSex, dataset.SoftwareVersions = "O", "1"
        enhanced = highdicom.legacy.LegacyConvertedEnhancedMRImage(
            legacy_datasets=list(classic.source.datasets),
            series_instance_uid=UID("2.25.1"),
            series_number=7,
            sop_instance_uid=UID("2.25.2"),
            instance_number=1,
        )

    choice = series.choose([enhanced])
    loaded = volumes.load([enhanced])

    assert choice.series_uid == "2.25.1"
    assert "its timing (TI 2500 ms, TE 100 ms, TR 9000 ms)" in choice.sentence
    assert np.array_equal(loaded.volume.voxels, classic.volume.voxels)
    assert loaded.volume.affine == pytest.approx(classic.volume.affine)
    assert loaded.source.frame_numbers is not None


@pytest.mark.parametrize("syntax", ["JPEG-LS", "JPEG lossless", "RLE"])
def test_compressed_slices_of_brainix_equal_the_plain_one(shared_data: Path, syntax: str) -> None:
    name = {
        "JPEG-LS": "JpegLossless.dcm",  # the names are those of the set
        "JPEG lossless": "Jpeg.dcm",
        "RLE": "Rle.dcm",
    }[syntax]
    path = shared_data / "dicom" / "transfer_syntaxes" / name
    number = pydicom.dcmread(path, stop_before_pixels=True).InstanceNumber
    plain = next(
        dataset
        for dataset in map(pydicom.dcmread, files(shared_data / "dicom" / "brainix" / "epi"))
        if dataset.InstanceNumber == number
    )

    assert np.array_equal(volumes.load([path]).volume.voxels[0], plain.pixel_array)


def test_jpeg_with_twelve_bits_is_refused_by_its_name(shared_data: Path) -> None:
    path = shared_data / "dicom" / "transfer_syntaxes" / "1.2.840.10008.1.2.4.51.dcm"

    with pytest.raises(UnreadablePixels, match=r"JPEG Extended.*1\.2\.840\.10008\.1\.2\.4\.51"):
        volumes.load([path])


def test_a_damaged_image_that_kills_its_decoder_is_refused_and_we_live_on(
    shared_data: Path,
) -> None:
    """GDCM crashes on this byte, so it runs in a child process."""
    dataset = pydicom.dcmread(shared_data / "dicom" / "transfer_syntaxes" / "Jpeg.dcm")
    stream = bytearray(dataset.PixelData)
    stream[22] = 255
    dataset.PixelData = bytes(stream)

    with pytest.raises(UnreadablePixels, match=r"JPEG Lossless.*1\.2\.840\.10008\.1\.2\.4\.70"):
        volumes.load([dataset])


@pytest.mark.parametrize("folder", ["br35h_128/no", "ixi_t1_slices"])
def test_a_folder_of_many_patients_is_not_taken_for_a_stack(
    shared_data: Path, folder: str, tmp_path: Path
) -> None:
    for path in files(shared_data / folder)[:12]:
        (tmp_path / path.name).write_bytes(path.read_bytes())

    assert len(readers.read_images(tmp_path)) > 1


def test_real_nifti_goes_back_onto_its_own_grid(shared_data: Path) -> None:
    path = shared_data / "tumour_free_flair" / "ms_101228" / "FLAIR.nii.gz"
    volume = readers.read_nifti(path)

    back: Any = readers.to_nifti(volume.voxels, volume, path)

    original = NIB.load(path)
    assert back.shape == original.shape
    assert np.array_equal(back.affine, original.affine)
    assert np.array_equal(np.asarray(back.dataobj), np.asarray(original.dataobj))

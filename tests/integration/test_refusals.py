"""The shipped model on real images it was not made for, and on FLAIR of hospitals it never saw."""

from collections.abc import Callable
from pathlib import Path

import pytest

import real_series
import spoilt
from agent import inference, pipeline, readers
from agent.imaging.results import Findings, NotAnalysed, Reason
from agent.imaging.volume import Volume
from agent.inference import OnnxModel, Provider

FLAIR = {
    "BRAINIX": "dicom/brainix/flair",
    "BraTS": "brats_flair/BraTS2021_00006",
    "z-scored BraTS": "brats_flair/brats_2013_pat0002",
    "MS": "ms_flair/patient07",
    "old age": "tumour_free_flair/nichart_08",
    "tumour": "lgg_flair/TCGA_HT_7693_19950520",
}
OTHER = {
    "T2": ("dicom/adi_brain_t1_t2/series_6", "fluid in the folds of the brain is brighter"),
    "T1": ("dicom/adi_brain_t1_t2/series_5", "cortex is darker against the white matter"),
    "MPRAGE": ("dicom/philips_mprage_sagittal", "cortex is darker against the white matter"),
    "EPI": ("dicom/brainix/epi", "fluid in the folds of the brain is brighter"),
}
SPOILT: dict[str, tuple[Callable[[Volume], Volume], str]] = {
    "noise": (lambda volume: spoilt.noisy(volume, 0.15), "noise is too strong"),
    "ghosts": (lambda volume: spoilt.ghosted(volume, 0.2), "shine outside the head"),
    "blur": (lambda volume: spoilt.blurred(volume, 4.0), "too little detail"),
    "cut": (lambda volume: spoilt.cut(volume, 0.25), "field of view cuts the brain off"),
}


@pytest.fixture(scope="module")
def model() -> OnnxModel:
    return inference.load(inference.default_folder(), provider=Provider.CPU)


def answer(volume: Volume, model: OnnxModel) -> Findings | NotAnalysed:
    """Findings or a refusal."""
    return pipeline.analyse(volume, model, model.description.thresholds)


def refusal(volume: Volume, model: OnnxModel) -> str:
    """The sentence of a refusal for images unlike those of the training."""
    found = answer(volume, model)
    assert isinstance(found, NotAnalysed)
    assert found.reason is Reason.UNFAMILIAR_IMAGES
    return found.sentence


def flair(folder: Path) -> Volume:
    """A volume of the data folder, NIfTI or DICOM."""
    image = folder / "FLAIR.nii.gz"
    return readers.read_nifti(image) if image.is_file() else real_series.stack(folder)


@pytest.mark.parametrize("name", FLAIR)
def test_real_flair_is_analysed_without_a_remark(
    shared_data: Path, model: OnnxModel, name: str
) -> None:
    found = answer(flair(shared_data / FLAIR[name]), model)
    assert isinstance(found, Findings)
    assert found.remarks == ()


@pytest.mark.parametrize("name", OTHER)
def test_another_sequence_is_refused_by_what_it_shows(
    shared_data: Path, model: OnnxModel, name: str
) -> None:
    folder, why = OTHER[name]
    assert why in refusal(real_series.as_axial(real_series.stack(shared_data / folder)), model)


def test_single_t1_images_are_refused(shared_data: Path, model: OnnxModel) -> None:
    for path in sorted((shared_data / "ixi_t1_slices").glob("*.png"))[::100]:
        (image,) = readers.read_images(path)
        assert "cortex is darker" in refusal(image, model)


@pytest.mark.parametrize("reslice", [spoilt.coronal, spoilt.sagittal])
def test_another_plane_that_claims_to_be_axial_is_refused(
    shared_data: Path, model: OnnxModel, reslice: Callable[[Volume], Volume]
) -> None:
    sentence = refusal(reslice(flair(shared_data / FLAIR["old age"])), model)
    assert "axial ones" in sentence


@pytest.mark.parametrize("name", SPOILT)
def test_spoilt_flair_is_refused(shared_data: Path, model: OnnxModel, name: str) -> None:
    spoil, why = SPOILT[name]
    assert why in refusal(spoil(flair(shared_data / FLAIR["tumour"])), model)


def test_half_a_brain_is_analysed_with_a_remark(shared_data: Path, model: OnnxModel) -> None:
    found = answer(spoilt.upper_part(flair(shared_data / FLAIR["tumour"]), 0.5), model)
    assert isinstance(found, Findings)
    assert found.remarks == (
        "The images begin inside the brain: what lies below them was not analysed.",
    )


def test_a_fruit_is_no_head(shared_data: Path, model: OnnxModel) -> None:
    fruit = real_series.stack(shared_data / "dicom/ge_fruit_not_a_brain")
    found = answer(real_series.as_axial(fruit), model)
    assert isinstance(found, NotAnalysed)
    assert found.reason is Reason.NOT_A_HEAD

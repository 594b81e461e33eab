"""Head, brain and findings on real images: skull or none, thick or thin, and a fruit."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

import real_series
import shipped
from agent import inference, pipeline, readers
from agent.imaging import head, preprocess
from agent.imaging.preprocess import ModelInput
from agent.imaging.results import Findings, NotAnalysed, Reason

ACCEPTED = [
    "lgg_flair/TCGA_CS_4941_19960909",
    "lgg_flair/TCGA_FG_8189_20030516",
    "tumour_free_flair/ms_101228",
    "tumour_free_flair/nichart_05",
    "brats_flair/BraTS2021_00006",
    "brats_flair/brats_2013_pat0002",
    "ms_flair/patient07",
]


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_real_head_is_accepted_and_its_lesion_lies_inside_the_brain(
    shared_data: Path, name: str
) -> None:
    folder = shared_data / name
    label = next(path for path in folder.iterdir() if path.name in ("mask.nii.gz", "wmh.nii.gz"))
    view = preprocess.prepare(
        readers.read_nifti(folder / "FLAIR.nii.gz"),
        size=128,
        context=1,
        brain_net=shipped.brain_net(),
    )
    assert isinstance(view, ModelInput)
    brain = preprocess.to_source(view.brain.astype(np.float32), view.geometry) > 0.5
    lesion = readers.read_nifti(label).voxels > 0
    assert (lesion & brain).sum() > 0.9 * lesion.sum()


@pytest.mark.parametrize("single", [False, True])
def test_a_fruit_is_not_a_head(shared_data: Path, single: bool) -> None:
    files = sorted((shared_data / "dicom" / "ge_fruit_not_a_brain").glob("*.dcm"))
    voxels = np.stack([pydicom.dcmread(file).pixel_array for file in files]).astype(np.float32)
    # Taken for axial slices, in blocks of 5 mm, as preparation would hand them on.
    slabs = voxels.reshape(10, 4, 256, 256).mean(axis=1)
    found = head.find(
        slabs[4:5] if single else slabs,
        spacing_mm=(4.8, 1.05, 1.05),
        brain_net=shipped.brain_net(),
    )
    assert isinstance(found, NotAnalysed)
    assert found.reason is Reason.NOT_A_HEAD


def test_the_lesion_of_brainix_is_found(shared_data: Path) -> None:
    found = found_in_brainix(shared_data)
    largest = found.regions[0]
    assert 20 < largest.volume_ml < 90  # left frontoparietal, about 5 cm wide
    assert found.slice_anomalous[largest.slice_index]
    assert all(region.peak_score < largest.peak_score for region in found.regions[1:])


def test_the_lesion_of_brainix_is_far_larger_than_every_other_region(shared_data: Path) -> None:
    largest, *others = found_in_brainix(shared_data).regions
    assert all(region.volume_ml < 0.2 * largest.volume_ml for region in others)


def found_in_brainix(shared_data: Path) -> Findings:
    """What the shipped model finds."""
    volume = real_series.stack(shared_data / "dicom" / "brainix" / "flair")
    model = inference.load(inference.default_folder(), provider=inference.Provider.CPU)
    found = pipeline.analyse(volume, model, model.description.thresholds)
    assert isinstance(found, Findings)
    return found

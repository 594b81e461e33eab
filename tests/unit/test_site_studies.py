"""Whose studies lie in a folder: patients are told apart in the layouts that sites have."""

from pathlib import Path

import pytest

from agent import site_studies
from agent.errors import UnreadableInput

DEEP = [f"sub-{n}/ses-{m}/anat/sub-{n}_ses-{m}_FLAIR.nii.gz" for n in (1, 2) for m in (1, 2)]


def patients(folder: Path, *places: str) -> dict[str, str]:
    """The patient of each volume; no volume is opened to find them."""
    for place in places:
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return {one.name: one.patient for one in site_studies.find(folder, "FLAIR")}


@pytest.mark.parametrize("above", ["", "cohort/", "data/cohort/"])
@pytest.mark.parametrize(
    "places",
    [
        ["anna/flair.nii.gz", "bert/flair.nii.gz", "cleo/flair.nii.gz"],
        ["a.nii.gz", "b.nii.gz", "c.nii.gz"],
        ["sub-01/anat/x.nii.gz", "sub-02/anat/x.nii.gz", "sub-03/anat/x.nii.gz"],
        ["sub-01_FLAIR.nii.gz", "sub-02_FLAIR.nii.gz", "sub-03_FLAIR.nii.gz"],
        ["sub-SITE_01_FLAIR.nii.gz", "sub-SITE_02_FLAIR.nii.gz", "sub-SITE_03_FLAIR.nii"],
        ["sub-SITE_01/x.nii.gz", "sub-SITE_02/x.nii.gz", "sub-SITE_03/x.nii.gz"],
        ["sub-SITE_01.nii.gz", "sub-SITE_02.nii.gz", "sub-SITE_03.nii.gz"],
        ["north/anna/x.nii.gz", "north/bert/x.nii.gz", "south/anna/x.nii.gz"],
        ["north/sub-01/x.nii.gz", "north/sub-02/x.nii.gz", "south/sub-01/x.nii.gz"],
        ["north/a.nii.gz", "north/b.nii.gz", "south/a.nii.gz"],
        ["anna/anat/x.nii.gz", "bert/anat/x.nii.gz", "cleo/anat/x.nii.gz"],
    ],
)
def test_three_people_are_never_taken_for_fewer(
    tmp_path: Path, above: str, places: list[str]
) -> None:
    found = patients(tmp_path, *(f"{above}{place}" for place in places))
    assert len(found) == len(set(found.values())) == 3


@pytest.mark.parametrize("above", ["", "cohort/", "data/cohort/"])
@pytest.mark.parametrize(
    "places",
    [
        DEEP,
        [place.replace("FLAIR.nii.gz", "run-1_FLAIR.nii.gz") for place in DEEP],
        [f"sub-{n}/ses-{m}/anat/x.nii.gz" for n in (1, 2) for m in (1, 2)],
        [f"sub-{n}/scan {m}/x.nii.gz" for n in (1, 2) for m in (1, 2)],
        [f"sub-{n}/x{m}.nii.gz" for n in (1, 2) for m in (1, 2)],
        [f"sub-{n}_ses-{m}/x.nii.gz" for n in (1, 2) for m in (1, 2)],
        [f"sub-{n}_ses-{m}_FLAIR.nii.gz" for n in (1, 2) for m in (1, 2)],
        [f"person {n}/ses-{m}/anat/x.nii.gz" for n in (1, 2) for m in (1, 2)],
    ],
)
def test_sessions_of_bids_are_of_one_patient(tmp_path: Path, above: str, places: list[str]) -> None:
    found = patients(tmp_path, *(f"{above}{place}" for place in places))
    assert len(found) == 4
    assert len(set(found.values())) == 2


def test_the_folder_of_one_subject_holds_one_patient(tmp_path: Path) -> None:
    found = patients(tmp_path / "sub-1", *(place.partition("/")[2] for place in DEEP[:2]))
    assert len(found) == 2
    assert len(set(found.values())) == 1


def test_masks_and_other_sequences_are_no_studies(tmp_path: Path) -> None:
    found = patients(
        tmp_path, "a/a_FLAIR.nii.gz", "a/a_T1w.nii.gz", "a/a_mask.nii.gz", "b/b_FLAIR.nii.gz"
    )
    assert found == {"a/a_FLAIR.nii.gz": "a", "b/b_FLAIR.nii.gz": "b"}


def test_single_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="whole studies"):
        patients(tmp_path, "one.png")

"""`neurosieve-train prepare` on DICOM: which series, and that nothing names a patient."""

from pathlib import Path

import numpy as np
import pytest

import builders
import source_folders
from model_training import collection
from source_folders import digests, prepare


def test_the_flair_of_a_study_is_taken_and_nothing_names_the_patient(
    source: Path, out: Path
) -> None:
    flair = builders.flair_series(description="PHANTOM-1 AX T2 FLAIR")
    plain = builders.flair_series(series="t1", description="SAG T1 Ellipsoid", number=5)
    source_folders.dicom(source / "Phantom^Ellipsoid" / "flair", flair)
    source_folders.dicom(source / "Phantom^Ellipsoid" / "t1", plain)
    (source / "Phantom^Ellipsoid" / "PHANTOM-1.dcm").write_bytes(b"nothing")

    done = prepare(source, out)

    assert done.result.exit_code == 0, done.result.output
    (row,) = done.subjects
    assert (row["sequence"], row["abnormal"]) == ("FLAIR", "unknown")
    assert row["group"].startswith("patient-")
    (member,) = collection.members(out)
    assert np.array_equal(
        collection.read(member).volume.voxels[0], flair[0].pixel_array.astype(np.float32)
    )
    written = " ".join(path.read_text().lower() for path in out.glob("*.csv"))
    written += " ".join(path.name.lower() for path in out.rglob("*")) + done.result.output.lower()
    for secret in ("sag t1", "phantom", "ellipsoid", "19700102", "acc-1"):
        assert secret not in written


def test_two_studies_of_one_patient_are_one_group_under_the_same_secret_only(
    source: Path, out: Path, tmp_path: Path
) -> None:
    for study in ("1", "2"):
        datasets = builders.flair_series(study=study, seed=int(study))
        source_folders.dicom(source / study, datasets)
    secret = tmp_path / "secret"

    first = prepare(source, out, "--private", secret)
    again = prepare(source, tmp_path / "again", "--private", secret)
    other = prepare(source, tmp_path / "other")

    (group,) = {row["group"] for row in first.subjects}
    assert len(first.subjects) == 2
    assert digests(out) == digests(tmp_path / "again")
    assert {row["group"] for row in again.subjects} == {group}
    assert group not in {row["group"] for row in other.subjects}
    assert "study-" in (secret / "sources.csv").read_text()


def test_a_series_with_a_missing_slice_is_refused_with_the_place(source: Path, out: Path) -> None:
    source_folders.dicom(
        source, [one for one in builders.flair_series() if one.InstanceNumber != 7]
    )

    done = prepare(source, out)

    assert done.result.exit_code == 1
    assert "1 slice is missing between image 6 and image 8" in " ".join(done.refused.values())


@pytest.mark.parametrize(
    ("sequence", "description", "echo_ms", "inversion_ms", "taken"),
    [
        ("T1", "AX T1 SE", 12, 0, True),
        ("T1", "AX T1 SE", 90, 0, False),
        ("T1", "AX T1 SE +Gd", 12, 0, False),
        ("T2", "AX T2 TSE", 100, 0, True),
        ("T2", "AX T2 TSE", 100, 2500, False),
        ("T2", "AX T2 FLAIR", 100, 0, False),
    ],
)
def test_t1_and_t2_are_chosen_by_name_and_timing(
    source: Path,
    out: Path,
    sequence: str,
    description: str,
    echo_ms: int,
    inversion_ms: int,
    taken: bool,
) -> None:
    datasets = builders.flair_series(description=description, slices=12)
    for dataset in datasets:
        dataset.EchoTime, dataset.InversionTime = str(echo_ms), str(inversion_ms)
        dataset.RepetitionTime = "600" if sequence == "T1" else "5000"
    source_folders.dicom(source, datasets)

    done = prepare(source, out, "--sequence", sequence)

    assert [row["sequence"] for row in done.subjects] == [sequence] * taken
    assert bool(done.refused) is not taken


def test_a_fine_sagittal_t1_is_turned_to_axial_slices(source: Path, out: Path) -> None:
    datasets = builders.flair_series(
        description="SAG T1 MPRAGE",
        plane=builders.PLANES["sagittal"],
        slices=64,
        spacing_mm=(2.5, 3.0, 3.0),
    )
    for dataset in datasets:
        dataset.EchoTime, dataset.InversionTime = "3", "900"
        dataset.RepetitionTime = "2300"
    source_folders.dicom(source, datasets)

    done = prepare(source, out, "--sequence", "T1")

    assert done.result.exit_code == 0, done.result.output
    (member,) = collection.members(out)
    assert collection.read(member).volume.spacing_mm == pytest.approx((3.0, 3.0, 2.5))


def test_a_stack_of_thick_sagittal_slices_is_refused(source: Path, out: Path) -> None:
    datasets = builders.flair_series(
        description="SAG T2 TSE",
        plane=builders.PLANES["sagittal"],
        slices=24,
        spacing_mm=(6.0, 2.0, 2.0),
    )
    for dataset in datasets:
        dataset.InversionTime = "0"
    source_folders.dicom(source, datasets)

    done = prepare(source, out, "--sequence", "T2")

    assert "It is a sagittal stack" in " ".join(done.refused.values())


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("ge_fruit_not_a_brain", "gradient-echo"),
        ("philips_mprage_sagittal", "gradient-echo"),
        ("philips_enhanced_mr_pcasl", "perfusion"),
        ("adi_brain_t1_t2", "among the 4 series"),
    ],
)
def test_real_studies_without_flair_are_refused_with_a_reason(
    shared_data: Path, out: Path, folder: str, said: str
) -> None:
    done = prepare(shared_data / "dicom" / folder, out)

    assert done.result.exit_code == 1
    assert said in " ".join(done.refused.values())


def test_the_real_brainix_flair_is_taken(shared_data: Path, out: Path) -> None:
    done = prepare(shared_data / "dicom" / "brainix", out)

    assert done.result.exit_code == 0, done.result.output
    (member,) = collection.members(out)
    volume = collection.read(member).volume
    assert volume.voxels.shape == (22, 288, 288)
    assert "BRAINIX" not in (out / "subjects.csv").read_text()

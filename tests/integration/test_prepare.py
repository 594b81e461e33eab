"""`neurosieve-train prepare` on NIfTI files, and what the command says when it cannot go on."""

import json
from pathlib import Path

import numpy as np
import pytest

import source_folders
from model_training import collection
from source_folders import digests, grey, head, mask, nifti, picture, prepare


def test_a_folder_for_each_subject_becomes_a_collection_that_training_reads(
    source: Path, out: Path
) -> None:
    voxels = head(1, slices=5)
    nifti(source / "p1" / "FLAIR.nii.gz", voxels)
    nifti(source / "p1" / "mask.nii.gz", mask(voxels))
    nifti(source / "p2" / "FLAIR.nii.gz", head(2, slices=5))

    done = prepare(source, out)

    assert done.result.exit_code == 0, done.result.output
    one, two = (collection.read(member) for member in collection.members(out))
    assert (one.name, one.abnormal, one.group) == ("p1", True, "p1")
    assert (two.name, two.abnormal) == ("p2", None)
    assert not two.lesion.any()
    assert np.array_equal(np.sort(one.volume.voxels, axis=None), np.sort(voxels, axis=None))
    assert one.lesion.sum() == 5 * 100
    assert one.volume.spacing_mm == pytest.approx((4.0, 1.0, 1.0))


def test_bids_finds_masks_among_derivatives_and_reads_no_other_contrast(
    source: Path, out: Path
) -> None:
    voxels = head(1, slices=3)
    anat = source / "sub-01" / "ses-a" / "anat"
    nifti(anat / "sub-01_ses-a_FLAIR.nii.gz", voxels)
    nifti(anat / "sub-01_ses-a_T1w.nii.gz", head(2, slices=3))
    nifti(source / "sub-01" / "ses-a" / "func" / "sub-01_ses-a_magnitude.nii.gz", head(3))
    masks = source / "derivatives" / "manual" / "sub-01" / "ses-a" / "anat"
    nifti(masks / "sub-01_ses-a_desc-lesion_mask.nii.gz", mask(voxels))
    nifti(masks / "sub-01_ses-a_desc-brain_mask.nii.gz", mask(voxels))
    nifti(source / "sub-02" / "anat" / "sub-02_FLAIR.nii.gz", head(4, slices=3))
    (source / "participants.tsv").write_text("participant_id\tgroup\nsub-02\tcontrol\n")

    done = prepare(source, out)

    assert [(row["subject"], row["group"], row["abnormal"]) for row in done.subjects] == [
        ("sub-01_ses-a", "sub-01", "yes"),
        ("sub-02", "sub-02", "no"),
    ]
    reasons = {Path(name).name: reason for name, reason in done.refused.items()}
    assert reasons["sub-01_ses-a_T1w.nii.gz"] == "Its name says T1; FLAIR is read."
    assert "lies in func" in reasons["sub-01_ses-a_magnitude.nii.gz"]
    assert "something else than a lesion" in reasons["sub-01_ses-a_desc-brain_mask.nii.gz"]
    assert len(done.refused) == 3


def test_the_sequence_that_is_asked_for_is_read(source: Path, out: Path) -> None:
    for name in ("FLAIR", "T1w", "T2w", "T1ce"):
        nifti(source / "p1" / f"p1_{name}.nii.gz", head(len(name)))

    done = prepare(source, out, "--sequence", "t1")

    assert done.column("sequence") == {"p1/p1_T1w.nii.gz": "T1"}
    assert len(done.refused) == 3


def test_all_sessions_of_a_subject_stay_in_one_split(source: Path, out: Path) -> None:
    for number in range(6):
        for session in ("a", "b"):
            name = f"sub-{number}_ses-{session}_FLAIR.nii.gz"
            nifti(source / f"sub-{number}" / f"ses-{session}" / "anat" / name, head(number))
            # Not the same pixels, so that only the name tells that they belong together.
            nifti(
                source / f"sub-{number}" / f"ses-{session}" / "anat" / name,
                head(number * 2 + (session == "b")),
            )

    done = prepare(source, out)

    splits = {(row["group"], row["split"]) for row in done.subjects}
    assert len(done.subjects) == 12
    assert len(splits) == 6


BAD = {
    "nan": "no numbers",
    "constant": "every voxel has the value 0",
    "small": "40 x 40 pixels",
    "no_orientation": "does not say how it lies",
    "sagittal": "sagittal stack",
    "coronal": "coronal stack",
    "damaged": "cannot be read",
    "empty": "cannot be read",
    "four_dimensions": "one 3D volume is needed",
    "dangling": "cannot be read",
    "mask_shape": "Its mask has",
    "mask_values": "--any-label",
    "mask_full": "marks every voxel",
    "mask_shifted": "lies 8.0 mm away",
    "two_masks": "Several masks",
}


def fill_with_bad(source: Path) -> None:
    """One subject for each check, and a good one."""
    good = head(99, slices=3)
    bad = {name: source / name / "FLAIR.nii.gz" for name in BAD}
    nifti(source / "good" / "FLAIR.nii.gz", good)
    holed = good.astype(np.float32)
    holed[1, 2, 3] = np.nan
    nifti(bad["nan"], holed)
    nifti(bad["constant"], np.zeros_like(good))
    nifti(bad["small"], good[:, :40, :40])
    nifti(bad["no_orientation"], good, codes=0)
    deep = head(98, slices=source_folders.SIZE)
    nifti(bad["sagittal"], deep, spacing_mm=(5, 1, 1))
    nifti(bad["coronal"], deep, spacing_mm=(1, 5, 1))
    nifti(bad["damaged"], good).write_bytes(bad["damaged"].read_bytes()[:300])
    bad["empty"].parent.mkdir()
    bad["empty"].touch()
    fourth = bad["four_dimensions"]
    source_folders.nib.save(
        source_folders.nib.Nifti1Image(np.ones((70, 70, 3, 2)), np.eye(4)), _made(fourth)
    )
    _made(bad["dangling"]).symlink_to(source / "nowhere.nii.gz")
    masks = {
        "mask_shape": mask(good)[:2],
        "mask_values": mask(good) + mask(good[:, :, ::-1] * 0)[:, :, ::-1],
        "mask_full": np.ones_like(good),
        "mask_shifted": mask(good),
        "two_masks": mask(good),
    }
    masks["mask_values"][0, 0, 0] = 7
    for seed, (name, marked) in enumerate(masks.items()):
        nifti(bad[name], head(seed, slices=3))
        nifti(bad[name].with_name("mask.nii.gz"), marked)
    shifted = source_folders.nib.load(bad["mask_shifted"].with_name("mask.nii.gz"))
    moved = shifted.affine.copy()
    moved[2, 3] += 8
    image = source_folders.nib.Nifti1Image(np.asarray(shifted.dataobj), moved)
    source_folders.nib.save(image, bad["mask_shifted"].with_name("mask.nii.gz"))
    nifti(bad["two_masks"].with_name("seg.nii.gz"), mask(good))


def _made(path: Path) -> Path:
    path.parent.mkdir()
    return path


def test_every_refused_volume_has_its_reason(source: Path, out: Path) -> None:
    fill_with_bad(source)

    done = prepare(source, out)

    assert list(done.column("subject").values()) == ["good"]
    for name, said in BAD.items():
        assert said in done.refused[f"{name}/FLAIR.nii.gz"], name
    left = {"good", "subjects.csv", "refused.csv"}
    assert {path.name for path in out.iterdir()} == left


def test_labels_of_several_kinds_are_lesion_where_the_user_says_so(source: Path, out: Path) -> None:
    voxels = head(1, slices=3)
    labels = mask(voxels)
    labels[:, 30:35] *= 4
    nifti(source / "case_FLAIR.nii.gz", voxels)
    nifti(source / "case_seg.nii.gz", labels)

    done = prepare(source, out, "--any-label")

    assert done.result.exit_code == 0, done.result.output
    (member,) = collection.members(out)
    assert collection.read(member).lesion.sum() == 3 * 100


def test_the_same_pixels_under_two_subjects_are_taken_once_and_their_groups_joined(
    source: Path, out: Path
) -> None:
    nifti(source / "a" / "FLAIR.nii.gz", head(1, slices=3))
    nifti(source / "b" / "scan1" / "FLAIR.nii.gz", head(1, slices=3))
    nifti(source / "b" / "scan2" / "FLAIR.nii.gz", head(2, slices=3))

    done = prepare(source, out)

    assert "pixels are those of a/FLAIR.nii.gz" in done.refused["b/scan1/FLAIR.nii.gz"]
    assert "a and b stay in one split" in done.refused["b/scan1/FLAIR.nii.gz"]
    assert len({row["group"] for row in done.subjects}) == 1
    assert not (out / "b_scan1").exists()


def test_the_same_pixels_called_normal_and_abnormal_are_not_taken(source: Path, out: Path) -> None:
    picture(source / "yes" / "1.png", grey(1))
    picture(source / "no" / "2.png", grey(1))
    picture(source / "no" / "3.png", grey(3))

    done = prepare(source, out)

    assert set(done.refused) == {"yes/1.png", "no/2.png"}
    assert list(done.column("source")) == ["no/3.png"]


def test_nothing_usable_is_an_error_that_leaves_the_reasons(source: Path, out: Path) -> None:
    picture(source / "1.png", np.zeros((100, 100), np.uint8))

    done = prepare(source, out)

    assert done.result.exit_code == 1
    assert "Nothing in the source can be used" in done.result.stderr
    assert "every voxel" in done.refused["1.png"]


def test_a_source_that_came_to_nothing_does_not_replace_a_collection(
    source: Path, out: Path
) -> None:
    good = picture(source / "1.png", grey(1))
    prepare(source, out)
    before = digests(out)
    good.write_bytes(b"damaged")

    assert prepare(source, out).result.exit_code == 1
    assert digests(out) == before


def test_json_holds_every_refusal(source: Path, out: Path) -> None:
    picture(source / "yes" / "1.png", grey(1))
    picture(source / "yes" / "2.png", grey(2)[:50, :50])

    said = json.loads(prepare(source, out, "--json").result.stdout)

    assert said["kind"] == "images"
    assert said["refused"] == {"too small": 1}
    assert said["refusals"][0]["source"] == "yes/2.png"
    (cell,) = said["accepted"]
    assert (cell["split"], cell["class"], cell["subjects"]) == ("train", "abnormal", 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--shares", 0.6, 0.6, 0.6), "do not add up to 1"),
        (("--kind", "dicom"), "holds no file that is dicom"),
        (("--groups", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    source: Path, out: Path, options: tuple[object, ...], said: str
) -> None:
    picture(source / "1.png", grey(1))

    done = prepare(source, out, *options)

    assert done.result.exit_code == 1
    assert said in done.result.stderr
    assert done.result.stderr.startswith("neurosieve-train: ")
    assert not out.exists()


def test_other_things_are_neither_replaced_nor_read_as_their_own_source(
    source: Path, out: Path
) -> None:
    picture(source / "1.png", grey(1))
    out.mkdir()
    (out / "precious.txt").write_text("mine")

    assert "is no prepared collection" in prepare(source, out).result.stderr
    assert "lie inside each other" in prepare(source, source / "inside").result.stderr
    assert (out / "precious.txt").read_text() == "mine"

"""`neurosieve-train prepare` on folders of 2D images: classes, near-duplicates, masks."""

from pathlib import Path

import numpy as np
import pytest

import source_folders
from model_training import collection
from source_folders import grey, head, mask, picture, prepare


def test_class_folders_say_what_is_abnormal_and_unknown_folders_are_refused(
    source: Path, out: Path
) -> None:
    for place, folder in enumerate(("tumor", "Normal", "artefacts")):
        picture(source / folder / "1.png", grey(place))
    picture(source / "tumor" / "broken.png", grey(9)).write_bytes(b"\x89PNG\r\n\x1a\n")
    (source / "notes.txt").write_text("none of our business")

    done = prepare(source, out)

    assert done.column("abnormal") == {"Normal/1.png": "no", "tumor/1.png": "yes"}
    assert done.column("subject") == {"Normal/1.png": "Normal_1", "tumor/1.png": "tumor_1"}
    assert "--abnormal-folder" in done.refused["artefacts/1.png"]
    assert "cannot be read" in done.refused["tumor/broken.png"]
    assert "1 file: .txt" in done.refused
    assert len(done.refused) == 3


def test_class_folders_may_be_named(source: Path, out: Path) -> None:
    picture(source / "ill" / "1.png", grey(1))
    picture(source / "well" / "1.png", grey(2))

    done = prepare(source, out, "--abnormal-folder", "ill", "--normal-folder", "well")

    assert done.column("abnormal") == {"ill/1.png": "yes", "well/1.png": "no"}


@pytest.mark.parametrize(("options", "said"), [((), "unknown"), (("--all-normal",), "no")])
def test_a_flat_folder_is_of_unknown_class_unless_all_is_normal(
    source: Path, out: Path, options: tuple[str, ...], said: str
) -> None:
    picture(source / "sub-IXI002_T1w.png", grey(1))
    picture(source / "sub-IXI012_T1w.png", grey(2))

    done = prepare(source, out, *options)

    assert [list(row.values())[:2] for row in done.subjects] == [
        ["sub-IXI002", "sub-IXI002"],
        ["sub-IXI012", "sub-IXI012"],
    ]
    assert {row["abnormal"] for row in done.subjects} == {said}
    assert {row["sequence"] for row in done.subjects} == {"T1"}


def test_near_duplicates_stay_together_also_when_mirrored(source: Path, out: Path) -> None:
    chance = np.random.default_rng(0)
    for number in range(8):
        original = head(number)[0].astype(np.float64) / 4
        noisy = np.clip(original + chance.normal(0, 3, original.shape), 0, 255)
        picture(source / f"{number}.png", original.astype(np.uint8))
        picture(source / f"{number}_again.png", noisy.astype(np.uint8))
        picture(source / f"{number}_mirrored.png", noisy[:, ::-1].astype(np.uint8))

    done = prepare(source, out)

    assert len(done.subjects) == 24
    by_person = {(row["source"][0], row["group"]) for row in done.subjects}
    assert len(by_person) == 8
    assert len({row["group"] for row in done.subjects}) == 8
    assert len({(row["group"], row["split"]) for row in done.subjects}) == 8


def test_given_groups_are_kept_and_an_image_without_one_is_refused(source: Path, out: Path) -> None:
    for name in ("no/1.png", "yes/1.png", "yes/2.png"):
        picture(source / name, grey(len(name) + ord(name[-5])))
    (source / "clusters.csv").write_text("class,file,cluster\nno,1.png,7\nyes,2.png,7\n")

    done = prepare(source, out, "--groups", source / "clusters.csv")

    assert done.column("group") == {"no/1.png": "7", "yes/2.png": "7"}
    assert done.refused == {"yes/1.png": "The table of groups does not name it."}


def test_16_bit_pixels_are_kept(source: Path, out: Path) -> None:
    pixels = head(1)[0].astype(np.uint16) * 60
    picture(source / "1.png", pixels)

    done = prepare(source, out)

    assert done.result.exit_code == 0, done.result.output
    (member,) = collection.members(out)
    assert np.array_equal(collection.read(member).volume.voxels[0], pixels)
    stored = source_folders.nib.load(member.folder / "image.nii.gz")
    assert stored.get_data_dtype() == np.uint16


def test_a_mask_beside_a_2d_image_is_its_lesion_and_no_image(source: Path, out: Path) -> None:
    picture(source / "p1" / "p1_1.png", grey(1))
    picture(source / "p1" / "p1_1_mask.png", mask(head(1), value=255)[0])
    picture(source / "p2" / "p2_1.png", grey(2))
    picture(source / "p2" / "p2_1_mask.png", mask(head(1), value=0)[0])

    done = prepare(source, out)

    assert done.column("abnormal") == {"p1/p1_1.png": "yes", "p2/p2_1.png": "no"}
    assert done.column("group") == {"p1/p1_1.png": "p1", "p2/p2_1.png": "p2"}


def test_a_mask_that_contradicts_its_folder_is_refused(source: Path, out: Path) -> None:
    picture(source / "normal" / "1.png", grey(1))
    picture(source / "normal" / "1_mask.png", mask(head(1), value=255)[0])
    picture(source / "normal" / "2.png", grey(2))

    done = prepare(source, out)

    assert "said to be normal, but its mask marks a lesion" in done.refused["normal/1.png"]

"""Prepared collections and the older layout, read the same way."""

from pathlib import Path

import numpy as np
import pytest

from agent import readers
from agent.imaging.volume import Volume
from model_training import collection
from model_training.collection import Split

HEADINGS = "subject,group,split,abnormal,lesion_mask,sequence,source\n"


def volume(*, slices: int = 3) -> Volume:
    """Voxels that all differ, in canonical order."""
    voxels = np.arange(slices * 20, dtype=np.float32).reshape(slices, 4, 5)
    return Volume(
        voxels=voxels,
        affine=np.array([[0, 0, 1.0, 0], [0, 1.0, 0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1.0]]),
        sources=("slice",) * slices,
    )


def write(folder: Path, image: str, mask: str | None = None, *, slices: int = 3) -> None:
    """A subject's folder; the mask marks the voxels above 30."""
    folder.mkdir(parents=True)
    grid = volume(slices=slices)
    readers.write_nifti(folder / image, grid.voxels, grid)
    if mask:
        readers.write_nifti(folder / mask, grid.voxels > 30, grid)


def prepared(folder: Path, rows: str) -> Path:
    """A collection with one readable subject `a` and the given lines in its table."""
    write(folder / "a", "image.nii.gz", "lesion.nii.gz")
    (folder / "subjects.csv").write_text(HEADINGS + rows)
    return folder


def test_a_prepared_collection_says_group_split_and_class(tmp_path: Path) -> None:
    rows = "a,p1,train,yes,yes,FLAIR,x\nb,p1,train,no,no,FLAIR,y\nc,p2,test,unknown,no,T1,z\n"

    listed = collection.members(prepared(tmp_path, rows))

    assert [(one.name, one.group, one.split, one.abnormal) for one in listed] == [
        ("a", "p1", Split.TRAIN, True),
        ("b", "p1", Split.TRAIN, False),
        ("c", "p2", Split.TEST, None),
    ]
    assert [one.name for one in collection.of_split(listed, Split.TRAIN)] == ["a", "b"]


def test_image_and_lesion_come_back_on_one_grid(tmp_path: Path) -> None:
    (member,) = collection.members(prepared(tmp_path, "a,p1,train,yes,yes,FLAIR,x\n"))

    subject = collection.read(member)

    assert np.array_equal(subject.volume.voxels, volume().voxels)
    assert np.array_equal(subject.lesion, volume().voxels > 30)
    assert (subject.name, subject.group, subject.abnormal) == ("a", "p1", True)


@pytest.mark.parametrize("mask", ["mask.nii.gz", "wmh.nii.gz"])
def test_the_older_layout_is_read_by_its_split_file(tmp_path: Path, mask: str) -> None:
    write(tmp_path / "a", "FLAIR.nii.gz", mask)
    (tmp_path / "split.csv").write_text("patient,split\na,calibration\n")

    (member,) = collection.members(tmp_path)

    assert (member.group, member.split, member.abnormal) == ("a", Split.CALIBRATION, None)
    assert collection.read(member).lesion.any()


def test_an_older_collection_without_split_file_is_all_test(tmp_path: Path) -> None:
    write(tmp_path / "b", "FLAIR.nii.gz")
    write(tmp_path / "a", "FLAIR.nii.gz")

    listed = collection.members(tmp_path)

    assert [(one.name, one.split) for one in listed] == [("a", Split.TEST), ("b", Split.TEST)]


def test_without_a_mask_no_voxel_is_lesion(tmp_path: Path) -> None:
    write(tmp_path / "a", "FLAIR.nii.gz")

    subject = collection.read(collection.members(tmp_path)[0])

    assert subject.lesion.shape == subject.volume.voxels.shape
    assert not subject.lesion.any()


def test_a_2d_image_is_a_volume_of_one_slice(tmp_path: Path) -> None:
    write(tmp_path / "a", "image.nii.gz", slices=1)

    assert collection.read(collection.members(tmp_path)[0]).volume.voxels.shape == (1, 4, 5)


def test_a_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a", "FLAIR.nii.gz")
    other = volume(slices=2)
    readers.write_nifti(tmp_path / "a" / "mask.nii.gz", other.voxels > 3, other)

    with pytest.raises(ValueError, match="different shapes"):
        collection.read(collection.members(tmp_path)[0])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,p,training,yes,no,FLAIR,x", r'line 2: the split "training" is none of train'),
        ("a,p,train,maybe,no,FLAIR,x", r'line 2: abnormal is "maybe"'),
        ("../a,p,train,yes,no,FLAIR,x", "is not the name of a subject"),
    ],
)
def test_a_table_that_says_something_else_is_refused_with_its_line(
    tmp_path: Path, row: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        collection.members(prepared(tmp_path, row + "\n"))


def test_a_table_without_splits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "subjects.csv").write_text("subject,group,abnormal\na,a,no\n")

    with pytest.raises(ValueError, match="lacks the column split"):
        collection.members(tmp_path)


def test_a_missing_collection_or_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no collection"):
        collection.members(tmp_path / "nowhere")
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no image"):
        collection.read(collection.members(tmp_path)[0])

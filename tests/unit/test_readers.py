"""NIfTI files as volumes, and arrays back on their grid."""

import gzip
import itertools
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

import builders
from agent import readers
from agent.errors import UnreadableInput

nib: Any = nibabel


def nifti(
    path: Path, array: NDArray[np.generic], codes: str = "LPS", spacing_mm: Any = (1, 2, 3)
) -> Path:
    """Write an array whose axes point as the codes say (towards, as in nibabel)."""
    ornt = nib.orientations.axcodes2ornt(tuple(codes))
    affine = np.zeros((4, 4))
    for axis, (world, sign) in enumerate(ornt.astype(int)):
        affine[world, axis] = sign * spacing_mm[axis]
    affine[:, 3] = 10, -20, 30, 1
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def numbered(*shape: int) -> NDArray[np.int16]:
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


ORIENTATIONS = [
    "".join(sign)
    for axes in itertools.permutations(("RL", "AP", "SI"))
    for sign in itertools.product(*axes)
]


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_every_orientation_is_read_onto_the_same_kind_of_grid(tmp_path: Path, codes: str) -> None:
    """Slices to the head, rows to the back, columns to the left, and each voxel in its place."""
    path = nifti(tmp_path / "a.nii", numbered(4, 5, 6), codes)

    volume = readers.read_nifti(path)

    assert (np.diag(volume.affine[:3, :3][::-1]) > 0).all()
    assert np.count_nonzero(volume.affine[:3, :3]) == 3
    original = nib.load(path)
    for index in ((0, 0, 0), (3, 1, 2), (1, 4, 5)):
        x, y, z, _ = original.affine @ (*index, 1)
        place = np.linalg.solve(volume.affine, (-x, -y, z, 1))[:3]
        assert volume.voxels[tuple(place.round().astype(int))] == original.dataobj[index]


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_an_array_goes_back_onto_the_grid_of_the_file(tmp_path: Path, codes: str) -> None:
    path = nifti(tmp_path / "in.nii.gz", numbered(4, 5, 6), codes)
    volume = readers.read_nifti(path)

    readers.write_nifti(tmp_path / "out.nii.gz", volume.voxels, volume, path)

    before, after = nib.load(path), nib.load(tmp_path / "out.nii.gz")
    assert after.shape == before.shape
    assert np.array_equal(after.affine, before.affine)
    assert np.array_equal(np.asarray(after.dataobj), np.asarray(before.dataobj))
    assert int(after.header["sform_code"]) == int(before.header["sform_code"])


def test_an_oblique_grid_survives_the_round_trip(tmp_path: Path) -> None:
    path = nifti(tmp_path / "in.nii", numbered(4, 5, 6))
    image = nib.load(path)
    turn = nib.eulerangles.euler2mat(0.2, 0.1, -0.3)
    affine = image.affine.copy()
    affine[:3, :3] = turn @ affine[:3, :3]
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), path)

    volume = readers.read_nifti(path)
    back = readers.to_nifti(volume.voxels, volume, path)

    assert volume.spacing_mm == pytest.approx((3, 2, 1))
    assert np.allclose(back.affine, affine, atol=1e-5)
    assert np.array_equal(np.asarray(back.dataobj), np.asarray(image.dataobj))


def test_without_a_file_the_affine_of_the_volume_is_written() -> None:
    datasets = builders.flair_series(slices=8, rows=6, columns=4)
    volume = builders.volume(datasets)

    image = readers.to_nifti(volume.voxels, volume)

    assert image.shape == (4, 6, 8)
    x, y, z = volume.position_mm((5, 2, 1))
    assert nib.affines.apply_affine(image.affine, (1, 2, 5)) == pytest.approx((-x, -y, z))
    assert image.dataobj[1, 2, 5] == volume.voxels[5, 2, 1]


@pytest.mark.parametrize(
    ("given", "stored"),
    [(np.bool_, np.uint8), (np.uint16, np.uint16), (np.int64, np.int32), (np.float64, np.float32)],
)
def test_values_are_stored_in_types_that_others_read(given: Any, stored: Any) -> None:
    volume = builders.volume(builders.flair_series(slices=8, rows=6, columns=4))

    image: Any = readers.to_nifti((volume.voxels > 100).astype(given), volume)

    assert image.get_data_dtype() == stored


def test_an_array_of_another_shape_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    volume = readers.read_nifti(nifti(tmp_path / "a.nii", numbered(4, 5, 6)))

    with pytest.raises(ValueError, match="The array is"):
        readers.to_nifti(volume.voxels[1:], volume)
    with pytest.raises(ValueError, match="its shape differs"):
        readers.to_nifti(volume.voxels, volume, nifti(tmp_path / "b.nii", numbered(5, 5, 6)))


def test_a_fourth_axis_of_one_volume_is_dropped_and_restored(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", numbered(4, 5, 6, 1))

    volume = readers.read_nifti(path)

    assert volume.voxels.shape == (6, 5, 4)
    assert readers.to_nifti(volume.voxels, volume, path).shape == (4, 5, 6, 1)


def test_scaling_is_applied_and_values_that_are_no_numbers_become_zero(tmp_path: Path) -> None:
    array = np.ones((4, 5, 6), dtype=np.float32)
    array[0, 0, 0], array[1, 0, 0] = np.nan, np.inf
    path = nifti(tmp_path / "a.nii", array)

    voxels = readers.read_nifti(path).voxels

    assert voxels.dtype == np.float32
    assert voxels.sum() == array.size - 2


def garbage(path: Path) -> Path:
    path.write_bytes(b"no image at all" * 40)
    return path


def cut_off(path: Path) -> Path:
    whole = nifti(path.with_name("whole.nii"), numbered(20, 20, 20)).read_bytes()
    path.write_bytes(gzip.compress(whole)[:900])
    return path


def flat(path: Path) -> Path:
    image = nib.Nifti1Image(numbered(4, 5, 6), np.eye(4))
    image.header["srow_z"] = 0
    with path.open("wb") as file:
        image.header.write_to(file)
        file.write(bytes(4 + 240))
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path, "cannot be read as NIfTI"),
        (garbage, "cannot be read as NIfTI"),
        (cut_off, "cannot be read"),
        (flat, "its affine is flat"),
        (lambda path: nifti(path, numbered(4, 5, 6, 2)), "4 x 5 x 6 x 2; one 3D volume is needed"),
        (lambda path: nifti(path, numbered(4, 5)), "4 x 5; one 3D volume is needed"),
        (lambda path: nifti(path, np.ones((4, 5, 6), np.complex64)), "complex64 values"),
    ],
)
def test_what_is_no_volume_is_refused_with_a_sentence(tmp_path: Path, make: Any, said: str) -> None:
    path = tmp_path / ("a.nii.gz" if make is cut_off else "a.nii")

    with pytest.raises(UnreadableInput, match=said):
        readers.read_nifti(make(path))

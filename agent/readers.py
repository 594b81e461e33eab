"""NIfTI volumes and 2D images from disk as `Volume`, and arrays back on a volume's grid."""

import zlib
from pathlib import Path
from typing import Any, cast

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from agent.errors import UnreadableInput
from agent.imaging.volume import Volume
from agent.pictures import NOMINAL_NOTE, Arrangement, read_images

__all__ = [
    "NOMINAL_NOTE",
    "Arrangement",
    "read_images",
    "read_nifti",
    "to_nifti",
    "write_nifti",
]

nib: Any = nibabel  # it says that it is typed, but most of its functions are not

# NIfTI counts x to the right and y to the front, DICOM to the left and to the back.
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

# Slices from feet to head, rows from front to back, columns from the patient's right to the left:
# the grid as an axial DICOM image shows it.
_GRID = nib.orientations.axcodes2ornt(("S", "P", "L"))

_UNREADABLE = (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, zlib.error)
_MAXIMUM_VOXELS = 1 << 28


def read_nifti(path: Path) -> Volume:
    """Read a 3D NIfTI volume; a 4D one only when it holds a single volume.

    The array axis closest to the head-feet direction becomes the slice axis. Slices then grow
    towards the head, rows to the back and columns to the patient's left, by swapping and flipping
    axes alone, never by resampling. Values that are no numbers become 0. Raises UnreadableInput.
    """
    image = _open(path)
    try:
        array = np.asarray(image.dataobj, dtype=np.float32)
    except (*_UNREADABLE, TypeError) as error:
        raise UnreadableInput(f"The voxels of {path.name} cannot be read: {error}.") from error
    array = np.nan_to_num(array.reshape(image.shape[:3]), nan=0.0, posinf=0.0, neginf=0.0)
    to_grid = nib.orientations.ornt_transform(nib.orientations.io_orientation(image.affine), _GRID)
    voxels = np.ascontiguousarray(nib.orientations.apply_orientation(array, to_grid))
    affine = image.affine @ nib.orientations.inv_ornt_aff(to_grid, image.shape[:3])
    return Volume(
        voxels=voxels,
        affine=_RAS_TO_LPS @ affine,
        sources=tuple(f"{path.name}#{index}" for index in range(len(voxels))),
    )


def to_nifti(
    array: NDArray[np.generic], volume: Volume, like: Path | None = None
) -> nibabel.Nifti1Image:
    """An array `[slice, row, column]` on the grid of `volume` as a NIfTI image.

    `like` names the NIfTI file that the volume was read from: the result then has its axes,
    shape and affine. Otherwise the axes are column, row, slice and the affine is the volume's.
    """
    if array.shape != volume.voxels.shape:
        raise ValueError(f"The array is {array.shape}, the volume {volume.voxels.shape}.")
    array = array.astype(_stored_type(array.dtype), copy=False)
    if like is None:
        axes = np.eye(4)[:, [2, 1, 0, 3]]
        return _image(array.transpose(2, 1, 0), _RAS_TO_LPS @ volume.affine @ axes)
    original = _open(like)
    from_grid = nib.orientations.ornt_transform(
        _GRID, nib.orientations.io_orientation(original.affine)
    )
    restored = nib.orientations.apply_orientation(array, from_grid)
    if restored.shape != original.shape[:3]:
        raise ValueError(f"The volume was not read from {like.name}: its shape differs.")
    result = _image(restored.reshape(original.shape), original.affine)
    for kind in ("sform", "qform"):
        code = int(original.header[f"{kind}_code"])
        getattr(result, f"set_{kind}")(original.affine, code=code)
    return result


def _image(array: NDArray[np.generic], affine: NDArray[np.float64]) -> nibabel.Nifti1Image:
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    return cast(nibabel.Nifti1Image, image)


def write_nifti(
    path: Path, array: NDArray[np.generic], volume: Volume, like: Path | None = None
) -> None:
    """Write `to_nifti(array, volume, like)`; compressed when the name ends in `.gz`."""
    nib.save(to_nifti(array, volume, like), path)


def _open(path: Path) -> Any:
    """A NIfTI image, its voxels still unread; refuse what is no single grid in space."""
    try:
        image: Any = nib.load(path)
    except _UNREADABLE as error:
        raise UnreadableInput(
            f"{path.name} cannot be read as NIfTI (.nii or .nii.gz): {error}."
        ) from error
    if not isinstance(image, nib.Nifti1Pair):  # NIfTI-2 is derived from it
        raise UnreadableInput(f"{path.name} is not NIfTI but {type(image).__name__}.")
    stored = image.get_data_dtype()
    if stored.kind not in "iuf":
        raise UnreadableInput(f"{path.name} holds {stored} values; grey values are needed.")
    shape = image.shape
    if len(shape) < 3 or any(size != 1 for size in shape[3:]) or min(shape, default=0) < 1:
        raise UnreadableInput(
            f"{path.name} holds an array of {' x '.join(map(str, shape))}; one 3D volume is needed."
        )
    if np.prod(shape, dtype=np.int64) > _MAXIMUM_VOXELS:
        raise UnreadableInput(f"{path.name} holds more than {_MAXIMUM_VOXELS} voxels.")
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise UnreadableInput(f"{path.name} does not say where its voxels lie: its affine is flat.")
    return image


def _stored_type(kind: np.dtype[np.generic]) -> np.dtype[np.generic]:
    """A type that other NIfTI readers know: no 64-bit integers, no truth values."""
    if kind == np.bool_:
        return np.dtype(np.uint8)
    if kind.kind == "f":
        return np.dtype(np.float32)
    return np.dtype(np.int32) if kind.itemsize > 4 else kind

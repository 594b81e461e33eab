"""Real DICOM series as volumes, also where the node's own reader rightly refuses them.

Some lack every other slice: as volumes they still show what their weighting looks like.
"""

from pathlib import Path

import numpy as np
import pydicom

import head_phantom
from agent.imaging.volume import Volume


def stack(folder: Path) -> Volume:
    """All images of a folder, sorted along their normal, as if evenly spaced."""
    files = [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    row, column = np.array(files[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(row, column)
    files.sort(key=lambda file: float(normal @ np.array(file.ImagePositionPatient, dtype=float)))
    first, last = (
        np.array(files[i].ImagePositionPatient, dtype=float) for i in (0, len(files) - 1)
    )
    affine = np.eye(4)
    affine[:3, 0] = (last - first) / (len(files) - 1)
    affine[:3, 1] = column * float(files[0].PixelSpacing[0])
    affine[:3, 2] = row * float(files[0].PixelSpacing[1])
    affine[:3, 3] = first
    return Volume(
        voxels=np.stack([file.pixel_array for file in files]).astype(np.float32),
        affine=affine,
        sources=tuple(str(file.SOPInstanceUID) for file in files),
    )


def as_axial(volume: Volume) -> Volume:
    """The same patient in axial slices, axes swapped and nothing resampled."""
    directions = np.abs(volume.affine[:3, :3] / volume.spacing_mm)
    slice_axis, row_axis = (int(np.argmax(directions[along])) for along in (2, 1))
    return head_phantom.turned(
        volume, (slice_axis, row_axis, 3 - slice_axis - row_axis), (False, False, False)
    )

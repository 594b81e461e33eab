"""Every result object of every kind of acquisition passes every judge that can be had."""

from pathlib import Path

import pytest

import geometries
import object_checks
from orthanc import free_port, running_orthanc

pytestmark = [pytest.mark.slow, pytest.mark.peer]


@pytest.mark.parametrize("name", geometries.GEOMETRIES)
def test_no_judge_finds_a_fault(name: str, tmp_path: Path) -> None:
    """dciodvfy, dcmqi and highdicom read each object as it was meant, Orthanc gives it back."""
    series = geometries.GEOMETRIES[name](48)
    with running_orthanc(tmp_path / "orthanc", node_port=free_port()) as orthanc:
        verdicts = object_checks.judged(series, tmp_path / "objects", orthanc)
    assert len(verdicts) == 10
    assert [verdict for verdict in verdicts if not verdict.clean] == []

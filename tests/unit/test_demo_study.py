"""The bundled study: our own rules accept it, and its headers are honest."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

import agent
from agent.dicom import series, volumes

STUDY = Path(agent.__file__).parent / "demo" / "study"


@pytest.fixture(scope="module")
def paths() -> list[Path]:
    return sorted(STUDY.glob("*.dcm"))


def test_the_demo_study_is_chosen_and_loads_as_a_head(paths: list[Path]) -> None:
    headers, unreadable = series.read_headers(paths)

    choice = series.choose(headers)
    volume = volumes.load(paths).volume

    assert not unreadable
    assert choice.series_uid == headers[0].SeriesInstanceUID
    assert volume.voxels.shape == (20, 256, 256)
    assert volume.spacing_mm == (5.0, 0.9375, 0.9375)
    assert np.ptp(volume.voxels) > 200


def test_the_demo_study_says_what_it_is_and_invents_nothing(paths: list[Path]) -> None:
    for path in paths:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        assert header.ImageType[0] == "DERIVED"
        assert "CC BY 3.0" in header.ImageComments
        assert "nominal" in header.ImageComments
        assert "TCGA-LGG" in header.DerivationDescription
        assert header.EchoTime is header.RepetitionTime is header.InversionTime is None
        assert header.PatientIdentityRemoved == "YES"


def test_the_attribution_stands_beside_the_images() -> None:
    text = (STUDY.parent / "ATTRIBUTION.md").read_text("utf-8")

    for needed in ("CC BY 3.0", "10.7937/K9/TCIA.2016.L4LTD3TK", "10.1007/s10278-013-9622-7"):
        assert needed in text

"""Two destinations with profiles of their own, and a study that is read again."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, JPEGLSLossless

import demo_study
from agent.demo.pacs import SimulatedPacs
from running import RunningNode, running
from storage.enums import StudyState

pytestmark = pytest.mark.slow


def received(pacs: SimulatedPacs) -> list[Dataset]:
    return [pydicom.dcmread(path, stop_before_pixels=True) for path in pacs.received()]


def modalities(objects: list[Dataset]) -> set[str]:
    return {str(one.Modality) for one in objects}


def test_each_destination_gets_its_own_and_a_new_reading_replaces_the_old(tmp_path: Path) -> None:
    with (
        SimulatedPacs(tmp_path / "pacs") as pacs,
        SimulatedPacs(tmp_path / "archive", ae_title="ARCHIVE") as archive,
    ):
        node = RunningNode(
            folder=tmp_path / "node",
            destinations=(pacs.destination, replace(archive.destination, name="archive")),
            profiles={
                "archive": [
                    'report = "comprehensive"',
                    'heatmap = "lesions"',
                    'transfer_syntax = "jpeg-ls"',
                    "segmentation = false",
                    "rejection_note = true",
                    "series_number_base = 5000",
                ]
            },
        )
        with running(node):
            for outcome in pacs.send(demo_study.IMAGES, node.address):
                assert outcome.status == 0
            first = node.wait_for_end()
            old_pacs, old_archive = received(pacs), received(archive)
            again = subprocess.run(
                [
                    *(sys.executable, "-m", "agent.cli", "studies", "reprocess"),
                    *(first.studies[0].study_uid, "-c", str(node.folder / "serve.toml")),
                ],
                capture_output=True,
                text=True,
                check=True,
            )
            view = node.wait_for_end(studies_expected=2)
    assert "Queued" in again.stdout
    assert view.states == [StudyState.DELIVERED, StudyState.DELIVERED]
    assert modalities(old_pacs) == {"SR", "SEG", "OT"}
    assert modalities(old_archive) == {"SR", "OT"}
    (report,) = (one for one in old_archive if one.Modality == "SR")
    assert report.SOPClassUID == ComprehensiveSRStorage
    assert report.SeriesNumber == 5003
    picture = next(one for one in old_archive if one.Modality == "OT")
    assert picture.file_meta.TransferSyntaxUID == JPEGLSLossless
    assert len(old_archive) < len(old_pacs)
    check_replacement(old_pacs, received(pacs))
    check_replacement(old_archive, received(archive))
    assert "KO" not in modalities(received(pacs))
    (note,) = (one for one in received(archive) if one.Modality == "KO")
    rejected = {
        item.ReferencedSOPInstanceUID
        for study in note.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert rejected == {one.SOPInstanceUID for one in old_archive}


def check_replacement(old: list[Dataset], all_now: list[Dataset]) -> None:
    """The new report names the old one, and nothing took an old UID."""
    before = {one.SOPInstanceUID for one in old}
    new = [one for one in all_now if one.SOPInstanceUID not in before]
    assert len(new) >= len(old)
    (old_report,) = (one for one in old if one.Modality == "SR")
    (new_report,) = (one for one in new if one.Modality == "SR")
    (study,) = new_report.PredecessorDocumentsSequence
    named = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == old_report.SOPInstanceUID

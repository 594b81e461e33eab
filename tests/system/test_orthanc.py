"""Modality, a real Orthanc that routes by rule, the node, and the results back in Orthanc."""

import hashlib
import os
import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

import demo_study
from agent.demo.pacs import SimulatedPacs
from orthanc import free_port, running_orthanc
from running import RunningNode, running, wait_until
from storage.enums import StudyState
from validators import dciodvfy_errors

pytestmark = [pytest.mark.slow, pytest.mark.peer]


def test_brainix_is_routed_analysed_and_returned(tmp_path: Path, shared_data: Path) -> None:
    storescu = shutil.which("storescu")
    if storescu is None:
        pytest.skip("DCMTK's storescu is not installed (Debian package dcmtk)")
    images = sorted((shared_data / "dicom" / "brainix").rglob("*.dcm"))
    port = free_port()
    with running_orthanc(tmp_path / "orthanc", node_port=port) as pacs:
        node = RunningNode(
            folder=tmp_path / "node",
            destinations=(pacs.destination,),
            port=port,
            quiet_seconds=4.0,  # Orthanc routes series by series
        )
        with running(node):
            subprocess.run(
                [storescu, "-R", "127.0.0.1", str(pacs.dicom_port), *map(str, images)],
                check=True,
                capture_output=True,
                env=os.environ | {"TCP_NODELAY": "1"},
                timeout=120,
            )
            view = node.wait_for_end()
            wait_until(
                lambda: {"SEG", "SR", "OT"} <= set(pacs.modalities()),
                timeout_seconds=20,
                what="the results in Orthanc",
            )
        found = pacs.modalities()
        returned = [
            pydicom.dcmread(BytesIO(file))
            for modality in ("SR", "SEG", "OT")
            for file in pacs.files(modality)
        ]
    assert view.states == [StudyState.DELIVERED]  # one revision: what came back made no new one
    assert found["MR"] == len(images)
    assert (found["SR"], found["SEG"], found["OT"]) == (1, 1, 22)  # a picture a FLAIR slice
    chosen = [decision.reason for decision in view.decisions if decision.chosen]
    assert len(chosen) == 1
    assert "FLAIR by its name" in chosen[0]
    for dataset in (returned[0], returned[1], returned[-1]):
        assert dciodvfy_errors(dataset, tmp_path) == []


def test_results_are_delivered_by_stow(tmp_path: Path) -> None:
    """Each object to the byte, and no secret in the log."""
    password = "s3cret-pässword"
    with (
        SimulatedPacs(tmp_path / "modality", ae_title="MODALITY") as modality,
        running_orthanc(tmp_path / "orthanc", login=("node", password)) as pacs,
    ):
        node = RunningNode(folder=tmp_path / "node", destinations=(pacs.web_destination,))
        with running(node):
            outcomes = modality.send(demo_study.IMAGES, node.address)
            assert all(outcome.stored for outcome in outcomes)
            view = node.wait_for_end()
        arrived = [file for kind in pacs.modalities() for file in pacs.files(kind)]
    assert view.states == [StudyState.DELIVERED]
    assert {one.status for one in view.deliveries} == {200}
    kept = {one.sha256 for one in view.objects}
    assert {hashlib.sha256(file).hexdigest() for file in arrived} == kept
    assert len(arrived) == len(view.objects) > 2
    assert password not in node.log.read_text(encoding="utf-8")


def test_the_lesion_of_brainix_lies_where_it_is_bright(tmp_path: Path, shared_data: Path) -> None:
    """The large bright lesion: nearly all its voxels outshine the other half of the head."""
    images = sorted((shared_data / "dicom" / "brainix" / "flair").glob("*.dcm"))
    from typer.testing import CliRunner

    from agent.cli import app

    result = CliRunner().invoke(
        app, ["analyse", str(images[0].parent), "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 0, result.output
    (file,) = (tmp_path / "out" / "dicom").glob("*-segmentation.dcm")
    seg = highdicom.seg.segread(file)
    by_uid = {
        str(one.SOPInstanceUID): one.pixel_array.astype(float)
        for one in map(pydicom.dcmread, images)
    }
    masks = seg.get_pixels_by_source_instance(list(by_uid), combine_segments=False)
    largest = masks[..., 0] > 0
    voxels = np.stack(list(by_uid.values()))
    across = mirrored(voxels)
    assert largest.sum() > 500
    assert np.mean(voxels[largest] > across[largest]) > 0.9
    assert np.median(voxels[largest]) > 1.3 * np.median(across[largest])


def mirrored(voxels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each slice `[n, row, column]` mirrored at the middle of its head."""
    head = (voxels > np.percentile(voxels, 60)).sum(axis=1)
    columns = np.arange(voxels.shape[2])
    shift = np.rint(2 * (head @ columns) / head.sum(axis=1) - columns[-1]).astype(int)
    return np.stack(
        [np.roll(part[:, ::-1], step, axis=1) for part, step in zip(voxels, shift, strict=True)]
    )

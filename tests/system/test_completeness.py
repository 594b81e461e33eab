"""A node and a real Orthanc as its source, which is asked and fetched from."""

import copy
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

import demo_study
from agent.demo.pacs import SimulatedPacs
from agent.dicom import report_view
from orthanc import Orthanc, free_port, running_orthanc
from running import RunningNode, View, running, wait_until
from sources import OddSource, running_source
from storage.enums import StudyState

pytestmark = [pytest.mark.slow, pytest.mark.peer]

LONG = 120.0  # seconds that no test waits
IMAGES = sorted(demo_study.IMAGES)


def peer(pacs: Orthanc, ask: str, *more: str) -> tuple[str, ...]:
    return (
        "[[peers]]",
        'ae_title = "PACS"',
        f"port = {pacs.dicom_port}",
        f'ask = "{ask}"',
        *more,
    )


def evidence(view: View) -> list[str]:
    """Of all revisions, the oldest first."""
    return [str(one.completion_evidence) for one in reversed(view.studies)]


def test_what_orthanc_routes_is_complete_without_any_wait(tmp_path: Path) -> None:
    """And a late image, which makes Orthanc send its series once more, is a revision."""
    port = free_port()
    with running_orthanc(tmp_path / "orthanc", node_port=port) as pacs:
        node = RunningNode(
            folder=tmp_path / "node",
            destinations=(pacs.destination,),
            peers=peer(pacs, "find"),
            port=port,
            quiet_seconds=LONG,
        )
        with running(node):
            for image in IMAGES[:-1]:
                pacs.put(image.read_bytes())
            node.wait_for_end(timeout_seconds=60.0)
            pacs.put(IMAGES[-1].read_bytes())
            view = node.wait_for_end(studies_expected=2, timeout_seconds=60.0)
    assert view.states == [StudyState.DELIVERED] * 2
    counts = len(IMAGES) - 1, len(IMAGES)
    assert evidence(view) == [
        f"PACS holds {count} images in 1 series of this study; all were received."
        for count in counts
    ]


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_what_did_not_arrive_is_fetched_from_orthanc(tmp_path: Path, way: str) -> None:
    port, login = free_port(), ("node", "secret")
    with (
        running_orthanc(
            tmp_path / "orthanc",
            node_port=port,
            routes=False,
            login=login if way == "web" else None,
        ) as pacs,
        SimulatedPacs(tmp_path / "sender", ae_title="PACS") as sender,
    ):
        web = (f'url = "{pacs.url}/dicom-web"', 'username = "node"', 'password = "secret"')
        node = RunningNode(
            folder=tmp_path / "node",
            peers=peer(pacs, "move", *(web if way == "web" else ())),
            port=port,
            quiet_seconds=1.0,
        )
        for image in IMAGES:
            pacs.put(image.read_bytes())
        with running(node):
            assert all(one.stored for one in sender.send(IMAGES[:5], node.address))
            view = node.wait_for_end()
        fetched = node.events("series_fetched")
    assert view.states == [StudyState.DELIVERED]
    assert view.studies[0].instance_count == len(IMAGES)
    assert not view.studies[0].is_incomplete
    assert len(fetched) == 1


def test_after_a_crash_the_source_is_asked_again(tmp_path: Path) -> None:
    """What is known of a study that waits is lost; its images and their times are not."""
    images: list[Dataset] = [pydicom.dcmread(image) for image in IMAGES]
    with (
        running_source(OddSource(held=images)) as source,
        SimulatedPacs(tmp_path / "sender", ae_title="PACS") as sender,
    ):
        node = RunningNode(
            folder=tmp_path / "node",
            peers=("[[peers]]", 'ae_title = "PACS"', f"port = {source.port}", 'ask = "find"'),
            quiet_seconds=LONG,
        )
        source.held.append(copy.deepcopy(images[0]))  # an image that is not there yet
        source.held[-1].SOPInstanceUID = "1.2.3"
        with running(node):
            assert all(one.stored for one in sender.send(IMAGES, node.address))
            node.wait_for_event("source_counted", timeout_seconds=20.0)
            assert node.events("source_counted")[0]["held"] == len(IMAGES) + 1
            assert node.view().states == [StudyState.RECEIVING]
            node.kill()
            source.held.pop()  # it was deleted at the source
            node.start()
            view = node.wait_for_end(timeout_seconds=60.0)
    assert view.states == [StudyState.DELIVERED]
    assert evidence(view) == [
        f"PACS holds {len(IMAGES)} images in 1 series of this study; all were received."
    ]


def test_a_report_over_an_incomplete_study_says_so(tmp_path: Path) -> None:
    """Orthanc holds one image more than ever comes; after the limit the rest is read."""
    port = free_port()
    with (
        running_orthanc(tmp_path / "orthanc", node_port=port, routes=False) as pacs,
        SimulatedPacs(tmp_path / "sender", ae_title="PACS") as sender,
    ):
        node = RunningNode(
            folder=tmp_path / "node",
            destinations=(pacs.destination,),
            peers=peer(pacs, "find"),
            port=port,
            quiet_seconds=0.5,
            completion=("wait_seconds = 4.0",),
        )
        for image in IMAGES:
            pacs.put(image.read_bytes())
        with running(node):
            assert all(one.stored for one in sender.send(IMAGES[:-1], node.address))
            view = node.wait_for_end()
            wait_until(
                lambda: "SR" in pacs.modalities(),
                timeout_seconds=20.0,
                what="the report in Orthanc",
            )
        (file,) = pacs.files("SR")
    assert view.states == [StudyState.DELIVERED]
    text = report_view.read(pydicom.dcmread(BytesIO(file)))
    said = f"{len(IMAGES) - 1} of the {len(IMAGES)} images that PACS holds were received"
    assert "THE STUDY WAS INCOMPLETE" in text.impression
    assert any(said in comment for comment in text.comments), text.comments
    (logged,) = node.events("study_complete")
    assert logged["incomplete"] is True
    assert logged["level"] == "WARNING"

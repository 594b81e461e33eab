"""The whole node as a process of its own, between real DICOM peers."""

from pathlib import Path

import pydicom
import pytest

import demo_study
from agent.demo.pacs import SimulatedPacs
from running import RunningNode, running
from storage.enums import DeliveryState, Outcome, Role, StudyState

pytestmark = pytest.mark.slow


def send(pacs: SimulatedPacs, node: RunningNode, images: list[Path]) -> None:
    """Send images to the node and insist that each is taken."""
    outcomes = pacs.send(images, node.address)
    assert [outcome.status for outcome in outcomes] == [0x0000] * len(images)


def test_a_study_comes_back_with_report_segmentation_and_heatmap(tmp_path: Path) -> None:
    """The main job, and no loop: what comes back to us is not taken again."""
    with (
        SimulatedPacs(tmp_path / "pacs") as pacs,
        running(RunningNode(folder=tmp_path / "node", destinations=(pacs.destination,))) as node,
    ):
        send(pacs, node, demo_study.IMAGES)
        view = node.wait_for_end()
        received = [pydicom.dcmread(path, stop_before_pixels=True) for path in pacs.received()]
        assert node.stop() == 0
    assert view.states == [StudyState.DELIVERED]
    assert view.instance_count == len(demo_study.IMAGES)
    assert [analysis.outcome for analysis in view.analyses if analysis] == [Outcome.ABNORMAL]
    assert {one.SOPInstanceUID for one in received} == {one.sop_uid for one in view.objects}
    assert sorted({one.Modality for one in received}) == ["OT", "SEG", "SR"]
    assert {d.state for d in view.deliveries} == {DeliveryState.COMMITTED}
    sent_study = pydicom.dcmread(demo_study.IMAGES[0]).StudyInstanceUID
    assert {one.StudyInstanceUID for one in received} == {sent_study}


def test_a_late_image_makes_a_revision_with_results_of_its_own(tmp_path: Path) -> None:
    with (
        SimulatedPacs(tmp_path / "pacs") as pacs,
        running(RunningNode(folder=tmp_path / "node", destinations=(pacs.destination,))) as node,
    ):
        send(pacs, node, demo_study.IMAGES[:-1])
        first = node.wait_for_end()
        send(pacs, node, demo_study.IMAGES)  # all known but one
        both = node.wait_for_end(studies_expected=2)
    assert [study.revision for study in both.studies] == [2, 1]
    assert [study.instance_count for study in both.studies] == [
        len(demo_study.IMAGES),
        len(demo_study.IMAGES) - 1,
    ]
    old = {one.sop_uid for one in first.objects}
    assert old.isdisjoint({one.sop_uid for one in both.objects} - old)
    assert len({one.sop_uid for one in both.objects}) == len(both.objects)


def test_a_pacs_that_is_away_gets_its_results_when_it_is_back(tmp_path: Path) -> None:
    with SimulatedPacs(tmp_path / "pacs") as pacs:
        away = pacs.destination
        node = RunningNode(folder=tmp_path / "node", destinations=(away,))
        with SimulatedPacs(tmp_path / "modality", ae_title="MODALITY") as modality:
            pacs.__exit__(None, None, None)
            with running(node):
                send(modality, node, demo_study.IMAGES)
                node.wait_for_event("step_started", step="settle")
                assert node.view().states == [StudyState.DELIVERING]
                with SimulatedPacs(tmp_path / "pacs", port=away.port) as back:
                    view = node.wait_for_end()
                    assert len(back.received()) == len(view.objects)
    assert view.states == [StudyState.DELIVERED]
    steps = [record["step"] for record in node.events("step_started")]
    assert steps.count("analyse") == 1
    assert steps.count("deliver") > 1


def test_without_a_destination_results_stay_in_the_store(tmp_path: Path) -> None:
    with (
        SimulatedPacs(tmp_path / "modality") as modality,
        running(RunningNode(folder=tmp_path / "node")) as node,
    ):
        send(modality, node, demo_study.IMAGES)
        view = node.wait_for_end()
    assert view.states == [StudyState.DELIVERED]
    roles = [one.role for one in view.objects]
    assert roles.count(Role.REPORT) == 1
    assert all((node.folder / "data" / one.path).is_file() for one in view.objects)


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("adi_brain_t1_t2", "NO_SUITABLE_SERIES"),
        ("philips_mprage_sagittal", "NO_SUITABLE_SERIES"),
        ("philips_enhanced_mr_pcasl", "NO_SUITABLE_SERIES"),
        ("ge_fruit_not_a_brain", None),
    ],
)
def test_what_cannot_be_analysed_is_answered_with_a_report(
    tmp_path: Path, shared_data: Path, folder: str, reason: str | None
) -> None:
    """Silence must never read as normal."""
    images = sorted((shared_data / "dicom" / folder).rglob("*.dcm"))[:60]
    with (
        SimulatedPacs(tmp_path / "pacs") as pacs,
        running(RunningNode(folder=tmp_path / "node", destinations=(pacs.destination,))) as node,
    ):
        send(pacs, node, images)
        view = node.wait_for_end()
        received = [pydicom.dcmread(path) for path in pacs.received()]
    assert set(view.states) == {StudyState.NOT_ANALYSED}
    assert [one.Modality for one in received] == ["SR"] * len(view.studies)
    for analysis in view.analyses:
        assert analysis is not None
        assert analysis.outcome is Outcome.NOT_ANALYSED
        assert analysis.reason
        assert reason is None or analysis.reason_code == reason

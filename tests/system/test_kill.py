"""The node is killed where it hurts most, and started again: nothing lost, nothing doubled."""

import threading
from pathlib import Path

import pydicom
import pytest

import demo_study
from agent.demo.pacs import SimulatedPacs
from running import RunningNode, running, wait_until
from storage.enums import DeliveryState, Role, StudyState

STEPS = ("assemble", "analyse", "compose", "hand_over", "deliver", "settle")

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("step", STEPS)
def test_a_node_killed_in_a_step_delivers_everything_once(tmp_path: Path, step: str) -> None:
    with SimulatedPacs(tmp_path / "pacs") as pacs:
        node = RunningNode(folder=tmp_path / "node", destinations=(pacs.destination,))
        with running(node):
            pacs.send(demo_study.IMAGES, node.address)
            node.wait_for_event("step_started", step=step)
            node.kill()
        with running(node):
            view = node.wait_for_end()
        received = [pydicom.dcmread(path, stop_before_pixels=True) for path in pacs.received()]
    assert view.states == [StudyState.DELIVERED]
    assert view.instance_count == len(demo_study.IMAGES)
    roles = [one.role for one in view.objects]
    assert roles.count(Role.REPORT) == 1
    assert roles.count(Role.SEGMENTATION) == 1
    assert roles.count(Role.HEATMAP) == len(demo_study.IMAGES)
    assert sorted(one.SOPInstanceUID for one in received) == sorted(
        one.sop_uid for one in view.objects
    )
    assert {delivery.state for delivery in view.deliveries} == {DeliveryState.COMMITTED}


def test_a_node_killed_while_receiving_keeps_every_acknowledged_image(tmp_path: Path) -> None:
    """What was answered with Success is there after the kill, with a row and once."""
    with SimulatedPacs(tmp_path / "pacs") as pacs:
        node = RunningNode(
            folder=tmp_path / "node", destinations=(pacs.destination,), quiet_seconds=3.0
        )
        acknowledged: set[str] = set()

        def send() -> None:
            for outcome in pacs.send(demo_study.IMAGES, node.address):
                if outcome.status == 0x0000:
                    acknowledged.add(outcome.sop_uid)

        with running(node):
            sender = threading.Thread(target=send)
            sender.start()
            stored = tmp_path / "node" / "data" / "images"
            wait_until(
                lambda: len(list(stored.rglob("*.dcm"))) >= len(demo_study.IMAGES) // 2,
                timeout_seconds=30,
                what="half of the images",
            )
            node.kill()
            sender.join(30)
        assert acknowledged
        with running(node):
            after = node.view()
            assert len(acknowledged) <= after.instance_count < len(demo_study.IMAGES)
            pacs.send(demo_study.IMAGES, node.address)
            view = node.wait_for_end()
    assert view.states[0] is StudyState.DELIVERED
    newest = view.studies[0]
    assert newest.instance_count == len(demo_study.IMAGES)
    assert len(list(stored.rglob("*.dcm"))) == len(demo_study.IMAGES)
    assert not list(stored.rglob("*.part.*"))

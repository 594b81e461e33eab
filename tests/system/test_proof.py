"""Delivery with proof by a whole node, its listener and worker in two processes."""

from dataclasses import replace
from pathlib import Path

import pytest

import demo_study
from agent.demo.pacs import SimulatedPacs
from proving_pacs import ProvingPacs, proving_pacs
from running import RunningNode, running, wait_until
from storage.enums import DeliveryState, Proof, StudyState

pytestmark = pytest.mark.slow

COMMITTED = {DeliveryState.COMMITTED}


def two_processes(folder: Path, pacs: ProvingPacs) -> tuple[RunningNode, RunningNode]:
    listening = RunningNode(folder=folder / "node", role="listen")
    return listening, replace(listening, role="work", destinations=(pacs.destination,))


def send(folder: Path, node: RunningNode) -> None:
    with SimulatedPacs(folder / "modality", ae_title="MODALITY") as modality:
        assert all(one.stored for one in modality.send(demo_study.IMAGES, node.address))


def test_a_report_to_the_listener_proves_what_the_worker_sent(tmp_path: Path) -> None:
    with proving_pacs(reports="new") as pacs:
        listening, working = two_processes(tmp_path, pacs)
        with running(listening), running(working):
            pacs.node_port = listening.port
            send(tmp_path, listening)
            view = working.wait_for_end()
    assert view.states == [StudyState.DELIVERED]
    assert {one.state for one in view.deliveries} == COMMITTED
    assert {one.proof for one in view.deliveries} == {Proof.COMMITMENT}
    assert {one.attempts for one in view.deliveries} == {1}


def test_a_worker_killed_while_it_waits_for_the_report_loses_nothing(tmp_path: Path) -> None:
    """The listener takes the report and ends the study; the next worker finds nothing to do."""
    with proving_pacs(reports="later") as pacs:
        listening, working = two_processes(tmp_path, pacs)
        with running(listening):
            pacs.node_port = listening.port
            with running(working):
                send(tmp_path, listening)
                wait_until(lambda: bool(pacs.requests), timeout_seconds=60, what="the request")
                working.kill()
            pacs.report()
            view = listening.view()
            assert view.states == [StudyState.DELIVERED]
            assert {one.state for one in view.deliveries} == COMMITTED
            with running(working):
                view = working.wait_for_end()
    assert view.states == [StudyState.DELIVERED]
    assert pacs.stored == len(view.objects)


def test_a_pacs_that_forgets_ends_in_failed_and_a_retry_delivers_the_rest(tmp_path: Path) -> None:
    with proving_pacs(forgets=True) as pacs:
        node = RunningNode(
            folder=tmp_path / "node",
            destinations=(pacs.destination,),
            retry_seconds=0.1,
            maximum_tries=3,
        )
        with running(node):
            send(tmp_path, node)
            view = node.wait_for_end()
            assert view.states == [StudyState.FAILED]
            assert "0x0112" in str(view.studies[0].error)
            assert "Given up after 3 tries" in str(view.studies[0].error)
            assert {one.state for one in view.deliveries} == {DeliveryState.FAILED}
            assert node.events("study_failed")
            doctor = node.command("doctor")
            assert (doctor.returncode, "failed" in doctor.stdout) == (1, True), doctor
            pacs.forgets = False
            retried = node.command("studies", "retry", view.studies[0].study_uid)
            assert retried.returncode == 0, retried
            wait_until(
                lambda: node.view().states == [StudyState.DELIVERED],
                timeout_seconds=60,
                what="the end of the retry",
            )
            view = node.view()
    assert {one.state for one in view.deliveries} == COMMITTED

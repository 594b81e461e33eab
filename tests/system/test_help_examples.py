"""The help of every command ends with an example, and the example does what it says."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

import example_site
import operation
import retraining_folders
from agent.cli import app
from agent.demo.pacs import SimulatedPacs
from agent.dicom import sender
from agent.dicom.peer import Destination

REPOSITORY = Path(__file__).resolve().parents[2]
COLUMNS = "80"
NAME, SIGN = "neurosieve", "Example: "
HEAVY = ("torch", "onnxruntime", "highdicom", "numpy", "pydicom", "sqlalchemy", "dbos")
NO_ROOM = re.compile("[┏┳]━{0,2}[┳┓]")  # the top of a column without a character


@dataclass(frozen=True, kw_only=True)
class Ends:
    """An example of a command that comes to its end: what it prints, what must have run before."""

    says: str
    before: tuple[str, ...] = ()
    typed: str = ""
    leaves: str = ""  # a file, relative to the site


ENDING = {
    "analyse": Ends(says="ABNORMAL, mass-like anomaly", leaves="results/anomaly.nii.gz"),
    "doctor": Ends(says="destination pacs", leaves="pack/index.html"),
    "studies list": Ends(says="ABNORMAL", before=("studies mark",)),
    "studies show": Ends(says="outcome: ABNORMAL"),
    "studies mark": Ends(says="is marked lesion"),
    "studies explain": Ends(says="Scores of the slices"),
    "studies replay": Ends(says="is the same to the last bit"),
    "studies retry": Ends(says="#1, attempt 2"),
    "studies reprocess": Ends(says="#2."),
    "studies report": Ends(says="Written to report.html", leaves="report.html"),
    "studies cancel": Ends(says="Cancelled", before=("studies reprocess",)),
    "models list": Ends(says="on trial"),
    "models show": Ends(says="use: active"),
    "models import": Ends(says=f"@{example_site.CANDIDATE} is here"),
    "models activate": Ends(says="reads studies from the next study on"),
    "models rollback": Ends(says="reads studies from", before=("models activate",)),
    "models shadow": Ends(says="reads every study from now on"),
    "models export": Ends(says="is in exported", leaves="exported/model.onnx"),
    "models history": Ends(says="ACTIVATED"),
    "models compare": Ends(says="The same verdict in 1 of 1"),
    "thresholds show": Ends(says="made by: training"),
    "thresholds set": Ends(says="In force from the next study on"),
    "thresholds calibrate": Ends(says="from 19 studies"),
    "thresholds history": Ends(says="fewer", before=("thresholds set",)),
    "drift": Ends(says="Achieva"),
    "drift release": Ends(says="Achieva is released"),
    "destinations list": Ends(says="PACS at 127.0.0.1"),
    "destinations show": Ends(says="ae title: PACS"),
    "destinations add": Ends(says="to agent.toml"),
    "destinations test": Ends(says="C-ECHO"),
    "users add": Ends(says="anna may sign in", typed="correct horse\ncorrect horse\n"),
    "users list": Ends(says="anna", before=("users add",)),
    "users remove": Ends(says="anna may no longer sign in", before=("users add",)),
    "audit list": Ends(says="model"),
    "audit verify": Ends(says="every seal holds"),
    "backup": Ends(says="were read again", leaves="backup/manifest.json"),
    "restore": Ends(says="are restored", before=("backup",), leaves="restored/neurosieve.db"),
    "retention run": Ends(says="Nothing is to go"),
    "audit export": Ends(says="events are in audit.xml", leaves="audit.xml"),
}
OF_THEIR_OWN = ("demo", "serve", "listen", "work", "status", "retrain", "bench")  # processes


# By the path of the command, without the program's name.
HELP = {
    path.removeprefix(f"{NAME} "): command.help or ""
    for path, command in operation.leaves(get_command(app), NAME)
}


def example(command: str) -> str:
    """The command line that the help of a command shows."""
    (line,) = (one for one in HELP[command].splitlines() if one.startswith(SIGN))
    return line.removeprefix(SIGN)


def run(command: str) -> Result:
    """Its example, in this folder."""
    name, *arguments = shlex.split(example(command))
    assert name == NAME
    return CliRunner().invoke(app, arguments, input=ENDING[command].typed)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The site that every example gets a copy of, beside a PACS that is there."""
    folder = tmp_path_factory.mktemp("site")
    with SimulatedPacs(folder / "pacs") as pacs:
        (folder / "template").mkdir()
        example_site.build(folder / "template", pacs)
        yield folder / "template"


@pytest.fixture
def site(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site of its own, in which the commands run."""
    folder = example_site.copied(template, tmp_path / "site")
    monkeypatch.chdir(folder)
    return folder


def test_every_example_is_run_here() -> None:
    assert set(HELP) == {*ENDING, *OF_THEIR_OWN}


@pytest.mark.parametrize("command", HELP)
def test_the_help_of_a_command_ends_with_one_example(command: str) -> None:
    paragraphs = HELP[command].split("\n\n")
    examples = [one for one in paragraphs if "example:" in one.casefold()]
    assert examples == paragraphs[-1:]
    assert examples[0].startswith(f"{SIGN}{NAME} {command}")
    assert "\n" not in examples[0].strip()


@pytest.mark.parametrize("command", HELP)
def test_the_help_shows_the_example_on_a_line_of_its_own(command: str) -> None:
    shown = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": COLUMNS})
    assert shown.exit_code == 0
    lines = [line.strip() for line in shown.output.splitlines()]
    assert f"{SIGN}{example(command)}" in lines


def test_the_overview_has_a_whole_sentence_for_each_command() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": COLUMNS})
    table = shown.output.partition("─ Commands ─")[2]
    assert "…" not in shown.output
    rows = re.findall(r"(?m)^│ ([a-z]+)", table)
    assert rows == list(get_command(app).commands)  # type: ignore[attr-defined]
    sentences = re.split(r"(?m)^│ [a-z]+ ", table)[1:]
    assert all(re.search(r"\.\s*│\s*(╰|$)", one) for one in sentences)


def test_help_loads_nothing_heavy() -> None:
    asked = [["--help"], *([*command.split(), "--help"] for command in HELP)]
    code = (
        "import sys; from agent.cli import app\n"
        f"for one in {asked}: app(one, standalone_mode=False)\n"
        f"sys.exit(str(sorted(set({HEAVY}) & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "[]\n"


@pytest.mark.slow
@pytest.mark.parametrize("command", ENDING)
def test_an_example_does_what_it_says(command: str, site: Path) -> None:
    for earlier in ENDING[command].before:
        assert run(earlier).exit_code == 0
    done = run(command)
    assert done.exit_code == 0, done.output
    assert ENDING[command].says in " ".join(done.output.split())  # titles are broken over lines
    assert NO_ROOM.search(done.output) is None, done.output
    assert (site / ENDING[command].leaves).exists()


@contextmanager
def started(command: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Its example in a process of its own, killed at the end if it still lives."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NEUROSIEVE_")}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "agent.cli", *shlex.split(example(command))[1:]],
            cwd=folder,
            env=environment | {"PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def completed(command: str, folder: Path) -> str:
    """What its example prints, after it has ended well."""
    with started(command, folder) as process:
        printed, _ = process.communicate()
        assert process.returncode == 0, (folder / "log").read_text()
    return " ".join(printed.split())


@contextmanager
def serving(command: str, folder: Path) -> Iterator[str]:
    """A service, stopped at the end as a service manager would; gives its line when it is ready."""
    with started(command, folder) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, (folder / "log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["serve", "listen"])
def test_a_node_answers_until_it_is_stopped(command: str, site: Path) -> None:
    with serving(command, site) as ready:
        words, _, port = ready.rpartition("=")
        assert words == "ready ae=NEUROSIEVE port"
        node = Destination(name="node", ae_title="NEUROSIEVE", host="127.0.0.1", port=int(port))
        sender.echo(node, calling_ae="PACS")


@pytest.mark.slow
def test_a_worker_is_ready_until_it_is_stopped(site: Path) -> None:
    with serving("work", site) as ready:
        assert ready == "ready ae=NEUROSIEVE"


@pytest.mark.slow
def test_the_status_page_answers_until_it_is_stopped(site: Path) -> None:
    with serving("status", site) as ready:
        words, _, url = ready.partition("=")
        assert words == "ready status"
        assert "Abnormality flagged" in httpx.get(url).text


@pytest.mark.slow
def test_the_demonstration_needs_nothing_but_its_folder(tmp_path: Path) -> None:
    assert "Back at the PACS (DELIVERED)" in completed("demo", tmp_path)
    assert (tmp_path / "demo-out" / "heatmap.png").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_retraining_ends_with_a_candidate(tmp_path: Path) -> None:
    model = retraining_folders.base_model(tmp_path)
    retraining_folders.heads(tmp_path / "scans", 10)
    example_site.configure(tmp_path, model=model.as_posix())
    assert "is registered as a candidate" in completed("retrain", tmp_path)

"""`neurosieve retrain`: queued, worked on, killed, gone on with, and registered."""

import hashlib
import io
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import builders
import received
import retraining_folders as folders
from agent import training_order
from running import wait_until
from storage import activations, audit, feedback, intake, registry, training
from storage.database import Database, open_database
from storage.enums import Mark, Origin, TrainingState
from storage.errors import StorageError
from storage.files import FileStore
from storage.records import Feedback, Instance, SeriesUid, SopUid

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

UNIX = sys.platform != "win32"
SLICES = 24
SILENCE_SECONDS = 5.0


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that the nodes begin with."""
    return folders.base_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten patients' heads."""
    return folders.heads(tmp_path_factory.mktemp("scans"), 10)


@pytest.fixture(scope="module")
def unbroken(base: Path, scans: Path, tmp_path_factory: pytest.TempPathFactory) -> "Site":
    """A node whose retraining nobody disturbed."""
    site = Site(tmp_path_factory.mktemp("unbroken"), base)
    done = site.retrain("--data", str(scans))
    assert done.returncode == 0, done.stderr
    return site


class Site:
    """A node's configuration and data, and its command."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.data = folder / "data"
        self.file = folder / "agent.toml"
        self.file.write_text(
            f'[node]\nae_title = "NEUROSIEVE"\ndata_dir = "{self.data.as_posix()}"\n'
            f"reserve_gb = 0.0\nwatermark_percent = 100.0\n"
            f'[model]\nfolder = "{base.as_posix()}"\nprovider = "cpu"\n'
        )

    def command(self, *arguments: str) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "agent.cli", *arguments, "--config", str(self.file)]

    def retrain(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A short retraining to its end."""
        asked = ["retrain", *arguments]
        if "--data" in arguments:
            asked += ["--steps", str(folders.STEPS)]
        return folders.run(self.command(*asked))

    @contextmanager
    def opened(self) -> Iterator[Database]:
        """The node's database."""
        database = open_database(f"sqlite:///{self.data / 'neurosieve.db'}")
        try:
            yield database
        finally:
            database.close()

    def states(self) -> list[TrainingState]:
        """Of every retraining, the newest first."""
        with self.opened() as database, database.read() as session:
            return [run.state for run in training.list_runs(session)]

    def progress(self) -> float:
        """Of the newest retraining; 0 where there is none yet."""
        if not (self.data / "neurosieve.db").is_file():
            return 0.0
        try:
            with self.opened() as database, database.read() as session:
                runs = training.list_runs(session)
        except StorageError:  # the tables are being made
            return 0.0
        return runs[0].progress if runs else 0.0

    def receive(self, study: str, mark: Mark) -> None:
        """A study of its own patient, as it came from a scanner, and what was said of it."""
        store = FileStore(self.data, reserve_bytes=0)
        instances: list[Instance] = []
        for dataset in builders.flair_series(
            slices=SLICES, study=study, lesion=False, seed=int(study)
        ):
            dataset.PatientID = f"patient {study}"
            content = io.BytesIO()
            dataset.save_as(content, enforce_file_format=True)
            digest = hashlib.sha256(content.getvalue()).hexdigest()
            kept, _ = store.keep_image(dataset.StudyInstanceUID, digest, [content.getvalue()])
            instances.append(
                received.image(
                    len(instances) + 1,
                    study=dataset.StudyInstanceUID,
                    series_uid=SeriesUid(dataset.SeriesInstanceUID),
                    sop_uid=SopUid(dataset.SOPInstanceUID),
                    path=kept,
                    content_sha256=digest,
                )
            )
        with self.opened() as database, database.begin() as session:
            intake.record_instances(session, instances)
            said = Feedback(
                study_uid=instances[0].study_uid,
                revision=1,
                mark=mark,
                note="",
                by="a radiologist",
                at=received.NOW,
            )
            feedback.mark(session, said)

    def candidate(self) -> Path:
        """The folder of the one retrained model."""
        with self.opened() as database, database.read() as session:
            found = [
                one for one in registry.list_versions(session) if one.origin is Origin.RETRAINED
            ]
        assert len(found) == 1
        return self.data / found[0].folder


def test_it_registers_a_candidate_and_activates_nothing(unbroken: Site) -> None:
    candidate = unbroken.candidate()
    assert (candidate / "figures" / "roc.png").is_file()
    with unbroken.opened() as database, database.read() as session:
        current = activations.in_force(session)
        actions = [event.action for event in audit.events(session)]
        audit.verify(session)
    assert current is not None
    assert "+site." not in current.model_version
    assert {"retraining asked for", "candidate registered"} <= set(actions)


def test_no_image_is_left_in_the_node_when_it_is_done(unbroken: Site) -> None:
    assert not list((unbroken.data / training_order.FOLDER).rglob("*.nii.gz"))


def test_killed_three_times_the_command_ends_with_the_same_candidate(
    unbroken: Site, base: Path, scans: Path, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    site = Site(tmp_path, base)
    asked = site.command("retrain", "--data", str(scans), "--steps", str(folders.STEPS))
    ends = []
    for _ in range(3):
        with subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as it:
            until = min(0.95, site.progress() + chance.uniform(0.02, 0.35))
            wait_until(
                lambda until=until, it=it: site.progress() >= until or it.poll() is not None,  # type: ignore[misc]
                timeout_seconds=300,
                what="progress",
            )
            it.kill()
        ends.append(round(site.progress(), 2))
    if site.states() != [TrainingState.REGISTERED]:
        done = site.retrain("--resume")
        assert done.returncode == 0, f"seed {seed}, {ends}: {done.stderr}"
    assert site.states() == [TrainingState.REGISTERED]
    ours, theirs = site.candidate(), unbroken.candidate()
    for path in theirs.rglob("*"):
        if path.is_file():
            same = ours / path.relative_to(theirs)
            assert same.read_bytes() == path.read_bytes(), f"{path.name}, seed {seed}, {ends}"


@pytest.mark.skipif(not UNIX, reason="reads /proc")
def test_the_child_does_not_outlive_the_command(base: Path, scans: Path, tmp_path: Path) -> None:
    site = Site(tmp_path, base)
    asked = site.command("retrain", "--data", str(scans), "--steps", str(folders.STEPS))
    with subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as it:
        wait_until(lambda: site.progress() > 0.05, timeout_seconds=120, what="progress")
        children = [int(pid) for pid in children_of(it.pid)]
        assert children
        it.kill()
    wait_until(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in children),
        timeout_seconds=20,
        what="the end of the child",
    )
    gone_on = site.retrain("--cancel", f"site.{time.strftime('%Y%m%d', time.gmtime())}-1")
    assert gone_on.returncode == 0, gone_on.stderr
    assert site.states() == [TrainingState.CANCELLED]


def children_of(pid: int) -> list[str]:
    """The processes that a process has started."""
    return [
        child
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


@pytest.mark.skipif(not UNIX, reason="reads /proc")
def test_a_child_that_is_killed_is_started_again(
    unbroken: Site, base: Path, scans: Path, tmp_path: Path
) -> None:
    site = Site(tmp_path, base)
    asked = site.command("retrain", "--data", str(scans), "--steps", str(folders.STEPS))
    with subprocess.Popen(
        asked, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as it:
        wait_until(lambda: site.progress() > 0.05, timeout_seconds=120, what="progress")
        for pid in children_of(it.pid):
            os.kill(int(pid), 9)
        _, errors = it.communicate(timeout=300)
        assert it.returncode == 0, errors
    ours, theirs = site.candidate(), unbroken.candidate()
    assert (ours / "model.onnx").read_bytes() == (theirs / "model.onnx").read_bytes()


def test_a_permanent_trainer_takes_what_the_command_asks_for(
    base: Path, scans: Path, tmp_path: Path
) -> None:
    site = Site(tmp_path, base)
    log = tmp_path / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            site.command("work", "--training"), stdout=subprocess.PIPE, stderr=errors, text=True
        ) as trainer,
    ):
        assert trainer.stdout is not None
        assert trainer.stdout.readline().startswith("ready"), log.read_text()
        done = site.retrain("--data", str(scans))
        trainer.terminate()
        assert trainer.wait(timeout=60) == 0, log.read_text()
    assert done.returncode == 0, done.stderr
    assert "Another process of this node trains" in done.stderr
    assert site.states() == [TrainingState.REGISTERED]


def test_a_refused_folder_says_what_and_why(base: Path, tmp_path: Path) -> None:
    site = Site(tmp_path, base)
    data = folders.heads(tmp_path / "scans", 10)
    folders.put(data / "patient_10" / "T1.nii.gz", seed=10)
    folders.put_fruit(data / "patient_11" / "FLAIR.nii.gz")
    done = site.retrain("--data", str(data), "--json")
    assert done.returncode == 1
    assert "2 scans do not suit" in done.stderr
    assert "--leave-out" in done.stderr
    found = json.loads(done.stdout)
    assert found["state"] == TrainingState.FAILED
    assert {one["source"] for one in found["checked"]["left_out"]} == {
        "patient_10/T1.nii.gz",
        "patient_11/FLAIR.nii.gz",
    }
    assert not list((site.data / training_order.FOLDER).rglob("*.nii.gz"))


def test_another_order_waits_for_the_unfinished_one(
    base: Path, scans: Path, tmp_path: Path
) -> None:
    site = Site(tmp_path, base)
    asked = site.command("retrain", "--data", str(scans), "--steps", str(folders.STEPS))
    with subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as it:
        wait_until(lambda: site.progress() > 0.01, timeout_seconds=120, what="progress")
        it.kill()
    done = site.retrain("--data", str(scans), "--leave-out")
    assert done.returncode == 1
    assert "is unfinished" in done.stderr
    assert site.retrain("--cancel", "site.x").returncode == 1


def test_stored_studies_that_are_marked_normal_are_learnt_from(base: Path, tmp_path: Path) -> None:
    site = Site(tmp_path, base)
    assert site.retrain("--list").returncode == 0  # makes the database
    for number in range(12):
        site.receive(str(number), Mark.MISSED if number >= 10 else Mark.NORMAL)
    done = site.retrain("--from-studies", "--steps", "4")
    assert done.returncode == 0, done.stderr
    assert "10 scans suit (6 train, 2 calibration, 2 test patients)" in done.stdout
    assert site.states() == [TrainingState.REGISTERED]
    assert len(list(site.data.rglob("*.dcm"))) == 12 * SLICES  # the node keeps its own


def test_who_analyses_takes_no_training(base: Path, scans: Path, tmp_path: Path) -> None:
    site = Site(tmp_path, base)
    asked = site.command("retrain", "--data", str(scans))
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(site.command("work"), stdout=subprocess.PIPE, stderr=log) as worker,
    ):
        assert worker.stdout is not None
        assert worker.stdout.readline().startswith(b"ready")
        with subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as it:
            wait_until(lambda: bool(site.states()), timeout_seconds=60, what="the request")
            it.kill()
        children = len(children_of(worker.pid)) if UNIX else 0
        before = site.progress()
        time.sleep(SILENCE_SECONDS)
        assert site.progress() == before
        assert len(children_of(worker.pid)) == children if UNIX else True
        worker.terminate()
        assert worker.wait(timeout=60) == 0


def test_without_studies_marked_normal_nothing_is_asked_for(base: Path, tmp_path: Path) -> None:
    site = Site(tmp_path, base)
    done = site.retrain("--from-studies")
    assert done.returncode == 1
    assert "No study is marked normal" in done.stderr
    assert site.states() == []


def test_where_torch_is_missing_a_sentence_says_so(base: Path, tmp_path: Path) -> None:
    site = Site(tmp_path, base)
    hidden = (
        "import importlib.util as u, sys; find = u.find_spec; "
        "u.find_spec = lambda name, *more: None if name == 'torch' else find(name, *more); "
        "from agent.cli import app; app()"
    )
    done = folders.run([sys.executable, "-c", hidden, *site.command("retrain", "--resume")[3:]])
    assert done.returncode == 1
    assert "Retraining needs torch" in done.stderr

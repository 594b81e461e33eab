"""The step that retrains: starts the child, follows it, and registers the candidate it leaves."""

import json
import logging
import shutil
import subprocess
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from agent import training_order
from agent.model_store import ModelStore
from storage import audit, registry, training
from storage.database import Database
from storage.enums import Origin, TrainingState
from storage.errors import Conflict
from storage.model_records import TrainingRun

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5  # how often a cancellation is looked for
TELL_SECONDS = 1.0  # between two notes of progress within a stage
STARTS = 4  # of a child that something else than its own error ended
LOG_FILE = "child.log"
_ELSEWHERE = (
    "The training was asked for on a host with another data folder. Run `neurosieve retrain` on "
    "the host that trains, or let both share node.data_dir."
)
_SAYS = "neurosieve-train: "  # begins the sentence of a child that gives up


class TrainingSteps:
    """Runs one training at a time. `stop` ends the child and leaves the training to be resumed."""

    def __init__(self, *, database: Database, store: ModelStore, data_dir: Path) -> None:
        self._database = database
        self._store = store
        self._data_dir = data_dir
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End the child; the training goes on with the next start."""
        self._stopping.set()

    def train(self, name: str) -> None:
        """From wherever the training stands to its end. May run twice."""
        with self._database.read() as session:
            run = training.get(session, name)
        if run.state in training.ENDED:
            return
        folder = self._data_dir / run.folder
        if not folder.is_dir():
            self.give_up(name, _ELSEWHERE)
            return
        code = 0
        for _ in range(STARTS):
            code = self._run_child(run, folder)
            if code in (0, 1) or self._has_ended(name):
                break
        if self._stopping.is_set():
            return
        if self._has_ended(name):  # cancelled
            forget_images(folder)
        elif code == 0:
            self._register(run, folder)
        else:
            self.give_up(name, sentence(folder / LOG_FILE, code))

    def give_up(self, name: str, why: str) -> None:
        """End a training as failed, and say why."""
        # Not as an error: whoever asked is told by the command, the row and the audit.
        logger.info("Training failed: %s", why, extra={"action": "training_failed"})
        with self._database.begin() as session:
            run = training.get(session, name)
            if run.state in training.ENDED:
                return
            now = datetime.now(UTC)
            training.finish(session, name, TrainingState.FAILED, now=now, error=why)
            audit.append(
                session,
                who=run.asked_by,
                action="retraining failed",
                subject=name,
                detail=why,
                now=now,
            )
        forget_images(self._data_dir / run.folder)

    def _has_ended(self, name: str) -> bool:
        """Whether the training needs no more of this: stopped for now, or cancelled."""
        if self._stopping.is_set():
            return True
        with self._database.read() as session:
            return training.get(session, name).state in training.ENDED

    def _run_child(self, run: TrainingRun, folder: Path) -> int:
        """One child from its start to its end; returns its exit code."""
        asked = training_order.command(folder, training_order.load(folder), run.name)
        logger.info("Training %s", run.name, extra={"action": "training_started"})
        with (
            (folder / LOG_FILE).open("w", encoding="utf-8") as log,
            subprocess.Popen(
                asked,
                stdin=subprocess.PIPE,  # closed when this process dies, and the child ends too
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
            ) as child,
        ):
            watch = threading.Thread(target=self._end_when_over, args=(run.name, child))
            watch.start()
            try:
                self._follow(run.name, child)
            finally:
                child.kill()
                child.wait()
                watch.join()
            return child.returncode

    def _end_when_over(self, name: str, child: subprocess.Popen[str]) -> None:
        while child.poll() is None:
            if self._has_ended(name):
                child.kill()
                return
            time.sleep(LOOK_SECONDS)

    def _follow(self, name: str, child: subprocess.Popen[str]) -> None:
        """Note the progress that the child prints, until it prints no more."""
        assert child.stdout is not None
        last_stage, told = "", 0.0
        for line in child.stdout:
            try:
                said = json.loads(line)
                stage, share = str(said["stage"]), float(said["progress"])
                text = f"{stage}: {said['message']}"
            except (ValueError, KeyError, TypeError):
                continue  # a library that prints
            if stage == last_stage and time.monotonic() - told < TELL_SECONDS:
                continue
            last_stage, told = stage, time.monotonic()
            try:
                with self._database.begin() as session:
                    training.progress(session, name, share=share, stage=text)
            except Conflict:  # cancelled; the watch ends the child
                return
        child.wait()

    def _register(self, run: TrainingRun, folder: Path) -> None:
        version = self._store.adopt(training_order.candidate_of(folder), Origin.RETRAINED)
        with self._database.begin() as session:
            if training.get(session, run.name).state in training.ENDED:
                return
            now = datetime.now(UTC)
            known = registry.register(session, version)
            training.progress(session, run.name, share=1.0, stage="done")
            training.finish(
                session,
                run.name,
                TrainingState.REGISTERED,
                now=now,
                candidate_version=known.version,
            )
            audit.append(
                session,
                who=run.asked_by,
                action="candidate registered",
                subject=known.label,
                detail=f"retraining {run.name}; sha256 {known.sha256}",
                now=now,
            )
        forget_images(folder)
        logger.info("Candidate %s", known.label, extra={"action": "candidate_registered"})


def sentence(log: Path, code: int) -> str:
    """Why a child ended, in its own words where it had some."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line for line in lines if line.startswith(_SAYS)]
    if code == 1 and said:
        return said[-1].removeprefix(_SAYS)
    return f"The training ended unexpectedly (exit code {code}); {log} may say more."


def forget_images(folder: Path) -> None:
    """Remove copies of patients' images and links to them."""
    for images in training_order.images_of(folder):
        shutil.rmtree(images, ignore_errors=True)

"""A site that is killed again and again under load, and what must still hold of it afterwards.

On SQLite one process is the node; on PostgreSQL a listener and two workers are. The images come
from a real sender and the results go to a receiving PACS, both outside of what is killed.
"""

import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from sqlalchemy import create_engine, text

import builders
from agent.demo.pacs import SimulatedPacs
from agent.errors import PeerError
from mr_headers import uid
from running import Launch, RunningNode, spawned, wait_until
from storage import studies
from storage.database import open_database
from storage.enums import TERMINAL_STATES

SLICES = 16
LOOK_SECONDS = 0.02
TRIGGER_SECONDS = 20.0  # then the moment counts as any
END_SECONDS = 300.0
STEPS = ("assemble", "analyse", "compose", "hand_over", "deliver", "settle")
RECEIVING, FILE, QUIET, STORED, ANY, ALL = "receiving", "file", "quiet", "stored", "any", "all"
POINTS = (RECEIVING, FILE, QUIET, *STEPS, STORED, ANY)
SPARED_AFTER = 2  # a run that lost so many processes is left to end: a fourth would give it up


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One study on its way, sent until every image was answered with Success."""

    study_uid: str
    images: tuple[Path, ...]
    acknowledged: set[str] = field(default_factory=set)
    silent: list[str] = field(default_factory=list)  # images of associations that broke off


@dataclass(kw_only=True)
class Tail:
    """The log of one process, read on from where the last look ended."""

    file: Path
    offset: int = 0

    def records(self) -> list[dict[str, object]]:
        """The records since the last look."""
        if not self.file.exists():
            return []
        with self.file.open("rb") as log:
            log.seek(self.offset)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self.offset += len(whole)
        return [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]


class Site:
    """The processes, the PACS and the sender."""

    def __init__(
        self,
        folder: Path,
        pacs: SimulatedPacs,
        *,
        database_url: str = "",
        lease_seconds: float = 5.0,
        seed: int = 0,
        launch: Launch = spawned,
    ) -> None:
        self.pacs = pacs
        self.folder = folder
        self.chance = random.Random(seed)
        self.sent: list[Sent] = []
        self.takeover_seconds: list[float] = []
        self.kills: Counter[str] = Counter()
        self._over = threading.Event()
        self._killed: Counter[str] = Counter()  # kills by run
        self._template = builders.flair_series(slices=SLICES, rows=48, columns=48)
        node = RunningNode(
            folder=folder / "node",
            destinations=(pacs.destination,),
            database_url=database_url,
            lease_seconds=lease_seconds,
            quiet_seconds=0.7,
            results=('heatmap = "off"',),
            maximum_tries=50,
            # The PACS reports on the association of the request, which a kill ends.
            commitment_seconds=5.0,
            launch=launch,
        )
        self.lease_seconds = lease_seconds
        if database_url:
            self.listener = replace(node, role="listen")
            self.workers = [replace(node, role="work", slot=slot) for slot in ("a", "b")]
        else:
            self.listener, self.workers = node, [node]
        self._engine = create_engine(node.url, pool_pre_ping=True)
        self._database = open_database(node.url)
        self._runs = "dbos.workflow_status" if database_url else "workflow_status"

    @property
    def nodes(self) -> list[RunningNode]:
        """Every process of the node."""
        return self.workers if self.listener is self.workers[0] else [self.listener, *self.workers]

    @contextmanager
    def running(self) -> Iterator["Site"]:
        """All processes, killed at the end."""
        try:
            for node in self.nodes:
                node.start()
            yield self
        finally:
            self._over.set()
            for node in self.nodes:
                if node.process is not None:
                    node.kill()
            self._engine.dispose()
            self._database.close()

    def new_study(self) -> Sent:
        """The files of a study that was never sent."""
        name = f"{self.folder}-{len(self.sent)}"
        folder = self.folder / "sent" / str(len(self.sent))
        folder.mkdir(parents=True)
        files = []
        for number, dataset in enumerate(self._template):
            files.append(folder / f"{number:03}.dcm")
            _renamed(dataset, name, number).save_as(files[-1], enforce_file_format=True)
        self.sent.append(Sent(study_uid=uid("study", name), images=tuple(files)))
        return self.sent[-1]

    def send(self, study: Sent) -> threading.Thread:
        """Send the study in the background, and what was not acknowledged again and again."""
        thread = threading.Thread(target=self._send_all, args=(study,), daemon=True)
        thread.start()
        return thread

    def _send_all(self, study: Sent) -> None:
        names = {path: str(pydicom.dcmread(path).SOPInstanceUID) for path in study.images}
        end = time.monotonic() + END_SECONDS
        while time.monotonic() < end and not self._over.is_set():
            missing = [path for path in study.images if names[path] not in study.acknowledged]
            if not missing:
                return
            try:
                for outcome in self.pacs.send(missing, self.listener.address):
                    if outcome.status == 0x0000:
                        study.acknowledged.add(outcome.sop_uid)
                    elif outcome.status is None:
                        study.silent.append(outcome.sop_uid)
            except PeerError:  # nobody listens just now
                pass
            time.sleep(0.2)

    def kill_at(self, point: str) -> None:
        """Send a study, kill a process at that point of its way, and start it again."""
        study = self.new_study()
        tails = self._tails()
        stored_before = len(self.pacs.received())
        sender = self.send(study)
        victims = self._victims(point, study, tails, stored_before)
        self._kill(victims, point)
        sender.join(END_SECONDS)
        self._spare()

    def outlast(self, restart: Callable[[], None]) -> None:
        """Send two studies, and let something happen while the second is received."""
        for study in (self.new_study(), self.new_study()):
            sender = self.send(study)
        self.wait_for_files(study)
        restart()
        sender.join(END_SECONDS)
        self._spare()

    def watch(self, study: Sent, step: str) -> RunningNode:
        """Send a study; the worker that begins this step of it."""
        tails = self._tails()
        self.send(study)
        found = self._first_step(study, step, tails)
        assert found is not None
        return found

    def wait_for_files(self, study: Sent) -> None:
        """Wait until the first image of a study is kept."""
        self._wait(lambda: bool(self._files(study)))

    def told(self) -> str:
        """What has not ended, and the ends of the logs."""
        logs = (f"{node.log.name}: {node.log.read_text()[-2000:]}" for node in self.nodes)
        return "\n".join([str(self.unfinished()), *logs])

    def _tails(self) -> dict[str, Tail]:
        return {node.slot: _tail(node) for node in self.workers}

    def _victims(
        self, point: str, study: Sent, tails: dict[str, Tail], stored_before: int
    ) -> list[RunningNode]:
        """Wait for the moment; who is to be killed then."""
        working = self.chance.choice(self.workers)
        if point in STEPS:
            found = self._first_step(study, point, tails)
            time.sleep(self.chance.choice((0.0, 0.02, 0.1, 0.3, 0.6)) * self.chance.random())
            return [found or working]
        if point == RECEIVING:
            wanted = self.chance.randrange(1, len(study.images))
            self._wait(lambda: len(self._files(study)) >= wanted)
        elif point == FILE:
            self._wait(lambda: bool(self._files(study)))
            time.sleep(0.06 * self.chance.random())  # rows follow in batches of 50 ms
        elif point == QUIET:
            self._wait(lambda: len(self._files(study)) == len(study.images))
            time.sleep(1.2 * self.chance.random())  # 0.7 s of quiet and a look
        elif point == STORED:
            self._wait(lambda: len(self.pacs.received()) > stored_before)
            time.sleep(0.05 * self.chance.random())
            return [self._delivering(study) or working]
        else:
            time.sleep(4 * self.chance.random())
            return self.nodes if point == ALL else [self.chance.choice(self.nodes)]
        return [self.listener]

    def _first_step(self, study: Sent, step: str, tails: dict[str, Tail]) -> RunningNode | None:
        found: list[RunningNode] = []

        def seen() -> bool:
            for node in self.workers:
                for record in tails[node.slot].records():
                    of_study = str(record.get("study", "")).startswith(study.study_uid)
                    if record.get("step") == step and of_study:
                        found.append(node)
            return bool(found)

        self._wait(seen)
        return found[0] if found else None

    def _delivering(self, study: Sent) -> RunningNode | None:
        holders = {run.executor_id for run in self.begun() if study.study_uid in run.run_id}
        return next((node for node in self.workers if f"worker-{node.slot}" in holders), None)

    def _wait(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + TRIGGER_SECONDS
        while not condition() and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)

    def _files(self, study: Sent) -> Sequence[Path]:
        folder = self.folder / "node" / "data" / "images"
        before = {path.parent for path in folder.glob("*/*.dcm")}
        mine = folder / _folder_of(study.study_uid)
        return list(mine.glob("*.dcm")) if mine in before else []

    def _kill(self, victims: list[RunningNode], point: str) -> None:
        for node in victims:
            node.kill()
        moment = time.monotonic()
        self.kills[point] += 1
        dead = {f"worker-{node.slot}" for node in victims}
        held = {run.run_id: run.owner for run in self.begun() if run.executor_id in dead}
        self._killed.update(held.keys())
        others_go_on = any(node.process is not None for node in self.workers)
        if not others_go_on or not held:
            for node in victims:
                node.start()
        self._time_takeover(held, moment)
        for node in victims:
            if node.process is None:
                node.start()

    def _time_takeover(self, held: dict[str, str], moment: float) -> None:
        """Note when somebody else goes on with each run that a dead process had begun."""
        end = moment + 2 * self.lease_seconds + 60
        waiting = dict(held)
        while waiting:
            assert time.monotonic() < end, f"nobody took over {waiting}"
            now = {run.run_id: run.owner for run in self.runs(list(waiting))}
            for run_id, owner in list(waiting.items()):
                if now[run_id] not in (owner, ""):
                    self.takeover_seconds.append(time.monotonic() - moment)
                    del waiting[run_id]
            time.sleep(LOOK_SECONDS)

    def _spare(self) -> None:
        """Let studies end that were hit often, and do not let too much pile up."""

        def calm() -> bool:
            begun = self.begun()
            often = [run for run in begun if self._killed[run.run_id] >= SPARED_AFTER]
            return not often and len(self.unfinished()) <= 3

        wait_until(calm, timeout_seconds=END_SECONDS, what=lambda: f"calm {self.unfinished()}")

    def begun(self) -> list["Begun"]:
        """The runs that an executor has begun."""
        return self._select("status = 'PENDING'")

    def runs(self, run_ids: list[str]) -> list["Begun"]:
        """These runs, whatever became of them; one that has ended counts as somebody's."""
        return [run for run in self._select("1 = 1") if run.run_id in run_ids]

    def _select(self, condition: str) -> list["Begun"]:
        statement = (
            f"SELECT workflow_uuid, status, executor_id, owner_xid FROM {self._runs}"
            f" WHERE {condition}"
        )
        with self._engine.connect() as connection:
            rows = connection.execute(text(statement)).all()
        return [
            Begun(
                run_id=row.workflow_uuid,
                executor_id=row.executor_id or "",
                owner=_owner(row.status, row.owner_xid),
            )
            for row in rows
        ]

    def unfinished(self) -> list[str]:
        """The revisions that have not ended, with their states, and what has not arrived."""
        with self._database.read() as session:
            listed = studies.list_studies(session, limit=10_000)
        known = {str(one.study_uid) for one in listed}
        return [
            *(f"{one.key} {one.state}" for one in listed if one.state not in TERMINAL_STATES),
            *(f"{one.study_uid} unknown" for one in self.sent if one.study_uid not in known),
        ]

    def settle(self, *, timeout_seconds: float = END_SECONDS) -> None:
        """Wait until every study has ended, and no image opens another revision."""
        for _ in range(2):
            wait_until(
                lambda: not self.unfinished(), timeout_seconds=timeout_seconds, what=self.told
            )
            time.sleep(1.0)


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A run as the engine's table has it; `owner` changes whenever somebody begins it again."""

    run_id: str
    executor_id: str
    owner: str


def _owner(status: str, owner: str | None) -> str:
    if status in ("ENQUEUED", "DELAYED"):
        return ""
    return (owner or "") if status == "PENDING" else "ended"


def _tail(node: RunningNode) -> Tail:
    return Tail(file=node.log, offset=node.log.stat().st_size if node.log.exists() else 0)


def _renamed(dataset: Dataset, name: str, number: int) -> Dataset:
    """The same image as one of another study."""
    copy = deepcopy(dataset)
    copy.StudyInstanceUID = uid("study", name)
    copy.SeriesInstanceUID = uid("series", name)
    copy.FrameOfReferenceUID = uid("frame of reference", name)
    copy.SOPInstanceUID = uid("image", name, number)
    copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
    return copy


def _folder_of(study_uid: str) -> str:
    return hashlib.sha256(study_uid.encode()).hexdigest()[:32]

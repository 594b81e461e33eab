"""What a node does with its database all day, each as one call, on a database of any size."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Engine, event, select

import many_studies
import status_page
from agent import bootstrap, engine, liveness
from agent.completeness import Limits
from agent.completion import Completion
from agent.dicom.commitment_messages import Reference
from agent.dicom.kept_images import KeptImages
from agent.inquiries import Inquiries
from agent.jobs import ANALYSIS_QUEUE, DELIVERY_QUEUE, Jobs
from agent.settings import NodeSettings, Settings
from agent.status import alarms, metrics, node_view
from received import image
from storage import audit, feedback, results, retention, studies, tables
from storage.database import Database
from storage.files import FileStore
from storage.records import SopUid, Study, StudyKey, StudyUid

BATCH = 20  # images that are recorded at once
ASKED = 200  # images of one request for storage commitment
_numbers = count(1)


class _Nobody:
    """A listener without associations, and receipts without images."""

    def open_studies(self) -> frozenset[StudyUid]:
        return frozenset()

    def waiting(self) -> tuple[()]:
        return ()


@dataclass(frozen=True, kw_only=True)
class GrownNode:
    """A node over a filled database, and one call for each thing it does with it."""

    settings: Settings
    database: Database
    store: FileStore
    jobs: Jobs
    size: int

    @property
    def middle(self) -> StudyUid:
        """Some study, neither of the oldest nor of the newest; another one at each call."""
        return many_studies.study_uid(self.size // 4 + next(_numbers) % (self.size // 2))

    # What people ask.

    def list_studies(self) -> None:
        with self.database.read() as session:
            listed = studies.list_studies(session, limit=50)
            feedback.newest(session, [study.study_uid for study in listed])
            for study in listed:
                results.analysis_of(session, study.key)

    def list_an_old_page(self) -> None:
        with self.database.read() as session:
            studies.list_studies(
                session, limit=50, older_than=studies.get(session, StudyKey(f"{self.middle}#1"))
            )

    def show_study(self) -> None:
        self._show(self.middle)

    def show_study_by_its_end(self) -> None:
        self._show(self.middle[-12:])

    def _show(self, name: str) -> None:
        with self.database.read() as session:
            found = studies.find(session, name)
            results.analysis_of(session, found.key)
            studies.series_decisions(session, found.key)
            results.lesions_of(session, found.key)
            results.objects_of(session, found.key)
            results.deliveries_of(session, found.key)
            feedback.history(session, found.study_uid)

    def list_audit(self) -> None:
        with self.database.read() as session:
            audit.events(session, limit=50)

    # What receiving does.

    def record_a_new_study(self) -> None:
        uid = f"1.2.3.{self.size}.{os.getpid()}.{next(_numbers)}"
        self._record(uid)
        with self.database.begin() as session:  # so that there are never more that receive
            studies.cancel(session, StudyKey(f"{uid}#1"), now=datetime.now(UTC), why="measured")

    def record_more_of_a_study(self) -> None:
        self._record(many_studies.study_uid(self.size - len(many_studies.UNDER_WAY) + 1))

    def _record(self, uid: str) -> None:
        first = next(_numbers) * BATCH
        now = datetime.now(UTC)
        batch = [
            image(first + number, study=uid, received_at=now, source_ae="PACS")
            for number in range(BATCH)
        ]
        with self.database.begin() as session:
            studies.record_instances(session, batch)

    def ask_whether_it_is_ours(self) -> None:
        with self.database.read() as session:
            results.is_our_object(session, f"2.25.{next(_numbers)}")

    def answer_commitment(self, wanted: list[SopUid]) -> None:
        held = KeptImages(database=self.database, store=self.store, receipts=cast("Any", _Nobody()))
        held.examine([Reference(sop_class_uid="1.2", sop_uid=one) for one in wanted])

    def look_for_complete_studies(self) -> Callable[[], None]:
        completion = Completion(
            database=self.database,
            jobs=self.jobs,
            listener=_Nobody(),
            inquiries=Inquiries(database=self.database, store=self.store, sources={}),
            limits=lambda _: Limits(quiet_seconds=1e9, wait_seconds=1e9),
        )
        return completion.look

    # What work does.

    def enqueue(self) -> None:
        with self.database.begin() as session:
            self.jobs.submit_analysis(session, self._unheard_of())
            session.rollback()

    def _unheard_of(self) -> Study:
        with self.database.read() as session:
            known = studies.get(session, StudyKey(f"{self.middle}#1"))
        return Study(**{**vars(known), "attempt": 1000 + next(_numbers)})

    def reconcile(self) -> None:
        """Nothing is left to do in it: every study under way has work."""
        self.jobs.begun()
        liveness.reconcile(self.database, self.jobs)

    def look_for_what_is_to_be_sent(self) -> None:
        with self.database.read() as session:
            key = StudyKey(f"{many_studies.study_uid(self.size)}#1")
            results.deliveries_of(session, key)

    def append_to_audit(self) -> None:
        with self.database.begin() as session:
            audit.append(session, who="me", action="test", subject="it", now=datetime.now(UTC))

    # What the watch does.

    def scrape_metrics(self) -> Callable[[], object]:
        site = bootstrap.status_site(self.settings, self._storage)
        return lambda: metrics.scrape(site)

    def look_for_alarms(self) -> Callable[[], None]:
        """As `doctor` does; it has no memory."""

        def look() -> None:
            site = bootstrap.status_site(self.settings, self._storage)
            alarms.find(site, node_view.now())

        return look

    @contextmanager
    def page(self, path: str) -> Iterator[Callable[[], object]]:
        server = bootstrap.status_server(self.settings, self._storage)
        server.start()
        try:
            with status_page.visitor(server) as client:
                yield lambda: client.get(path).raise_for_status()
        finally:
            server.stop()

    # What housekeeping does.

    def look_for_what_may_go(self) -> None:
        with self.database.read() as session:
            before = datetime.now(UTC) - timedelta(hours=1)
            assert next(iter(retention.finished(session, before=before)), None) is not None

    def compare_files_with_rows(self, paths: list[str]) -> None:
        with self.database.read() as session:
            assert studies.recorded_paths(session, paths)
            studies.removed_paths(session, paths)

    def name_all_files(self) -> None:
        with self.database.read() as session:
            retention.files_named(session)

    @property
    def _storage(self) -> bootstrap.Storage:
        return bootstrap.Storage(database=self.database, store=self.store)

    # Helpers of the calls above.

    def paths(self, number: int) -> list[str]:
        return self._values(tables.instance.c.path, number)

    def sop_uids(self, number: int) -> list[SopUid]:
        return [SopUid(one) for one in self._values(tables.instance.c.sop_uid, number)]

    def _values(self, column: Any, number: int) -> list[str]:
        """Of two studies or more in the middle."""
        found: list[str] = []
        with self.database.read() as session:
            while len(found) < number:
                of_study = select(column).where(tables.instance.c.study_uid == self.middle)
                found += session.scalars(of_study)
        return found[:number]


def command(config: Path, *arguments: str) -> None:
    """The whole command in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NEUROSIEVE_")}
    subprocess.run(
        [sys.executable, "-m", "agent.cli", *arguments, "--config", str(config)],
        check=True,
        stdout=subprocess.DEVNULL,
        env=environment,
    )


def idle_worker(node: GrownNode, *, seconds: float) -> float:
    """Seconds of the database's statements in one second of a worker that has nothing to do."""
    spent: list[float] = []
    begun: dict[int, float] = {}

    def before(connection: Any, *_: Any) -> None:
        begun[id(connection)] = time.perf_counter()

    def after(connection: Any, *_: Any) -> None:
        spent.append(time.perf_counter() - begun.pop(id(connection)))

    queues = {ANALYSIS_QUEUE: 1, DELIVERY_QUEUE: engine.DELIVERIES_AT_ONCE}
    engine.run_queues(node.database, "worker-1", _idle_workflows, queues)
    try:
        time.sleep(5.0)  # what waits is done by now
        event.listen(Engine, "before_cursor_execute", before)
        event.listen(Engine, "after_cursor_execute", after)
        time.sleep(seconds)
    finally:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "after_cursor_execute", after)
        engine.stop_queues(patience_seconds=1)
    return sum(spent) / seconds


def _idle_workflows() -> None:
    from dbos import DBOS

    @DBOS.workflow(name="analyse_study")
    def analyse_study(*_: Any) -> None:
        return None

    del analyse_study


def timed(work: Callable[[], object], *, repeats: int) -> float:
    """Seconds of one call, the median of some."""
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def grown(folder: Path, database: Database, size: int) -> GrownNode:
    """The node of a filled database; its configuration is `agent.toml` in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    url = json.dumps(database.url)
    data = json.dumps(str(folder / "data"))
    (folder / "agent.toml").write_text(
        f"[node]\ndata_dir = {data}\ndatabase_url = {url}\nreserve_gb = 0.0\n", "utf-8"
    )
    values = status_page.settings(folder / "data")
    node = NodeSettings(
        data_dir=folder / "data",
        database_url=database.url,
        reserve_gb=0.0,
        watermark_percent=100.0,
    )
    store = FileStore(folder / "data", reserve_bytes=0)
    return GrownNode(
        settings=values.model_copy(update={"node": node}),
        database=database,
        store=store,
        jobs=Jobs(database),
        size=size,
    )

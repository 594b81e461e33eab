"""The durable engine over real databases: order, retries, dead letters, cancelling, reviving."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy.orm import Session

from agent import liveness
from agent.engine import Patience, Worker
from agent.errors import AgentError, ConfigurationError, PeerError
from agent.jobs import Jobs
from running import wait_until
from storage import registry, studies
from storage.database import Database
from storage.enums import TERMINAL_STATES, Origin, Priority, StudyState
from storage.errors import StorageError, StoreFull
from storage.model_records import ModelVersion
from storage.records import Instance, SeriesUid, SopUid, Study, StudyKey, StudyUid

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class FakeAnalysis:
    """Steps that note what they were asked, and fail as told."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.calls: list[tuple[str, StudyKey]] = []
        self.errors: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()

    @property
    def in_order(self) -> Iterable[tuple[str, Callable[[StudyKey], None]]]:
        return (("assemble", self.assemble), ("compose", self.compose))

    def assemble(self, key: StudyKey) -> None:
        self.calls.append(("assemble", key))
        assert self.gate.wait(20)
        self._advance(key, StudyState.ANALYSING)
        if self.errors:
            raise self.errors.pop(0)

    def compose(self, key: StudyKey) -> None:
        self.calls.append(("compose", key))
        self._advance(key, StudyState.COMPOSED)

    def try_shadow(self, key: StudyKey) -> None:
        self.calls.append(("try_shadow", key))
        raise ConfigurationError("The model on trial cannot be loaded.")

    def give_up(self, key: StudyKey, why: str) -> None:
        self.calls.append((f"give up: {why}", key))
        self._advance(key, StudyState.ANALYSING)
        self._advance(key, StudyState.COMPOSED)

    def _advance(self, key: StudyKey, state: StudyState) -> None:
        with self.database.begin() as session:
            studies.advance(session, key, state, now=NOW)


class FakeDelivery:
    """A destination that fails as often as told."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.problems: list[str] = []
        self.errors: list[Exception] = []
        self.tries = 0

    def plan(self, session: Session, key: StudyKey) -> tuple[str, ...]:
        studies.advance(session, key, StudyState.DELIVERING, now=NOW)
        return ("pacs",)

    def deliver(self, key: StudyKey, destination: str) -> str:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.problems.pop(0) if self.problems else ""

    def finish(self, session: Session, key: StudyKey) -> None:
        studies.advance(session, key, StudyState.DELIVERED, now=NOW)

    def abandon(self, session: Session, key: StudyKey, why: str) -> None:
        studies.advance(session, key, StudyState.FAILED, now=NOW, error=why)


class Bench:
    """An engine with fake steps over a real database."""

    def __init__(self, database: Database, *, studies_at_once: int = 1) -> None:
        self.database = database
        self.jobs = Jobs(database)
        self.analysis = FakeAnalysis(database)
        self.delivery = FakeDelivery(database)
        self.worker = Worker(
            database=database,
            jobs=self.jobs,
            analysis=self.analysis,
            delivery=self.delivery,
            executor_id="test",
            step_patience=Patience(maximum_tries=3, first_retry_seconds=0.05),
            delivery_patience=Patience(maximum_tries=3, first_retry_seconds=0.05),
            studies_at_once=studies_at_once,
        )

    def complete_study(self, uid: str, priority: Priority = Priority.ROUTINE) -> Study:
        """A study with one image that is complete, not yet submitted."""
        with self.database.begin() as session:
            (key,) = studies.record_instances(session, [_instance(uid, priority)])
            return studies.complete(session, key, evidence="test", now=NOW)

    def submit(self, study: Study) -> None:
        with self.database.begin() as session:
            self.jobs.submit_analysis(session, study)

    def state(self, study: Study) -> Study:
        with self.database.read() as session:
            return studies.get(session, study.key)

    def wait_for_end(self, study: Study) -> Study:
        wait_until(
            lambda: self.state(study).state in TERMINAL_STATES, timeout_seconds=30, what="the end"
        )
        return self.state(study)

    @contextmanager
    def working(self) -> Iterator[None]:
        self.worker.start()
        try:
            yield
        finally:
            self.analysis.gate.set()
            self.worker.stop(patience_seconds=5)


@pytest.fixture
def bench(database: Database) -> Iterator[Bench]:
    bench = Bench(database)
    yield bench
    bench.jobs.close()


def _instance(uid: str, priority: Priority) -> Instance:
    return Instance(
        study_uid=StudyUid(uid),
        series_uid=SeriesUid(f"{uid}.1"),
        sop_uid=SopUid(f"{uid}.1.1"),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        source_ae="PACS",
        priority=priority,
        path=f"images/{uid}.dcm",
        content_sha256=uid.replace(".", "0"),
        received_at=NOW,
    )


def test_a_submitted_study_goes_through_its_steps_and_ends_delivered(bench: Bench) -> None:
    study = bench.complete_study("1.2.3")
    bench.submit(study)
    with bench.working():
        assert bench.wait_for_end(study).state is StudyState.DELIVERED
    assert [name for name, _ in bench.analysis.calls] == ["assemble", "compose"]


def test_a_rolled_back_submission_leaves_no_work(bench: Bench) -> None:
    study = bench.complete_study("1.2.3")

    def submit_and_lose_power() -> None:
        with bench.database.begin() as session:
            bench.jobs.submit_analysis(session, study)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        submit_and_lose_power()
    assert not bench.jobs.is_live(study)


def test_stat_goes_first(bench: Bench) -> None:
    routine = [bench.complete_study(f"1.2.{number}") for number in (1, 2, 3)]
    urgent = bench.complete_study("1.2.4", Priority.STAT)
    for study in (*routine, urgent):
        bench.submit(study)
    with bench.working():
        for study in (*routine, urgent):
            bench.wait_for_end(study)
    assert bench.analysis.calls[0] == ("assemble", urgent.key)


def test_a_step_that_fails_for_a_while_is_tried_again(bench: Bench) -> None:
    bench.analysis.errors = [PeerError("away"), PeerError("still away")]
    study = bench.complete_study("1.2.3")
    bench.submit(study)
    with bench.working():
        assert bench.wait_for_end(study).state is StudyState.DELIVERED
    assert [name for name, _ in bench.analysis.calls] == ["assemble"] * 3 + ["compose"]


def test_an_error_that_cannot_pass_is_reported_without_another_try(bench: Bench) -> None:
    bench.analysis.errors = [AgentError("These pixels are broken.")]
    study = bench.complete_study("1.2.3")
    bench.submit(study)
    with bench.working():
        bench.wait_for_end(study)
    calls = [name for name, _ in bench.analysis.calls]
    assert calls == ["assemble", "give up: These pixels are broken."]


def test_after_the_last_try_the_failure_is_reported_without_quoting_the_data(bench: Bench) -> None:
    bench.analysis.errors = [ValueError("PATIENT^NAME")] * 3
    study = bench.complete_study("1.2.3")
    bench.submit(study)
    with bench.working():
        bench.wait_for_end(study)
    last = bench.analysis.calls[-1][0]
    assert last == "give up: An internal error (ValueError) stopped the analysis."


@pytest.mark.parametrize("error", [StoreFull("full"), StorageError("away")], ids=["full", "away"])
def test_a_full_disk_or_a_database_that_is_away_fails_no_study(
    bench: Bench, error: StorageError
) -> None:
    """Its run ends, and it gets another one until there is room again."""
    bench.analysis.errors = [error] * 7  # two runs of three tries, and one more
    study = bench.complete_study("1.2.3")
    bench.submit(study)
    with bench.working():
        for _ in range(2):
            wait_until(
                lambda: not bench.jobs.is_live(bench.state(study)), timeout_seconds=20, what="a run"
            )
            assert bench.state(study).state is StudyState.ANALYSING
            assert liveness.reconcile(bench.database, bench.jobs) == 1
        ended = bench.wait_for_end(study)
    assert (ended.state, ended.error) == (StudyState.DELIVERED, None)
    assert not [name for name, _ in bench.analysis.calls if name.startswith("give up")]


def test_a_delivery_that_the_database_breaks_off_starts_again(bench: Bench) -> None:
    bench.delivery.errors = [StorageError("away")] * 3
    study = bench.complete_study("1.2.3")
    bench.submit(study)
    with bench.working():
        wait_until(lambda: bench.delivery.tries == 3, timeout_seconds=20, what="three tries")
        wait_until(lambda: not bench.jobs.is_live(study), timeout_seconds=20, what="their end")
        assert liveness.reconcile(bench.database, bench.jobs) == 1
        assert bench.wait_for_end(study).state is StudyState.DELIVERED


def test_a_dead_destination_repeats_only_the_delivery(bench: Bench) -> None:
    bench.delivery.problems = ["pacs is not there.", "pacs is not there."]
    study = bench.complete_study("1.2.3")
    bench.submit(study)
    with bench.working():
        assert bench.wait_for_end(study).state is StudyState.DELIVERED
    assert bench.delivery.tries == 3
    assert [name for name, _ in bench.analysis.calls] == ["assemble", "compose"]


def test_a_destination_that_stays_dead_ends_the_study_as_failed(bench: Bench) -> None:
    bench.delivery.problems = ["pacs is not there."] * 5
    study = bench.complete_study("1.2.3")
    bench.submit(study)
    with bench.working():
        ended = bench.wait_for_end(study)
    assert ended.state is StudyState.FAILED
    assert ended.error == "pacs is not there. Given up after 3 tries."


def test_a_cancelled_study_stops_at_its_next_step(bench: Bench) -> None:
    bench.analysis.gate.clear()
    study = bench.complete_study("1.2.3")
    bench.submit(study)
    with bench.working():
        wait_until(lambda: bool(bench.analysis.calls), timeout_seconds=20, what="the first step")
        with bench.database.begin() as session:
            studies.cancel(session, study.key, now=NOW, why="test")
        bench.jobs.cancel(study)
        bench.analysis.gate.set()
        wait_until(lambda: not bench.jobs.is_live(study), timeout_seconds=20, what="the stop")
    assert bench.state(study).state is StudyState.CANCELLED
    assert [name for name, _ in bench.analysis.calls] == ["assemble"]


def test_an_unfinished_study_without_work_gets_it_again(bench: Bench) -> None:
    study = bench.complete_study("1.2.3")
    assert liveness.reconcile(bench.database, bench.jobs) == 1
    with bench.working():
        assert bench.wait_for_end(study).state is StudyState.DELIVERED
    assert liveness.reconcile(bench.database, bench.jobs) == 0


def test_a_study_with_work_is_left_alone_by_reconciling(bench: Bench) -> None:
    bench.submit(bench.complete_study("1.2.3"))
    assert liveness.reconcile(bench.database, bench.jobs) == 0


def test_a_model_on_trial_comes_last_and_its_failure_disturbs_nothing(bench: Bench) -> None:
    version = ModelVersion(
        name="m",
        version="2",
        sha256="digest",
        folder="models/m/2",
        origin=Origin.IMPORTED,
        sequence="FLAIR",
        registered_at=NOW,
    )
    with bench.database.begin() as session:
        registry.set_shadow(session, registry.register(session, version))
    bench.analysis.gate.clear()
    pair = [bench.complete_study("1.2.3"), bench.complete_study("1.2.4")]
    for study in pair:
        bench.submit(study)
    with bench.working():
        bench.analysis.gate.set()
        for study in pair:
            assert bench.wait_for_end(study).state is StudyState.DELIVERED
        wait_until(
            lambda: [name for name, _ in bench.analysis.calls].count("try_shadow") == 2,
            timeout_seconds=30,
            what="both trials",
        )
    names = [name for name, _ in bench.analysis.calls]
    assert names[:4] == ["assemble", "compose"] * 2
    assert [bench.state(study).state for study in pair] == [StudyState.DELIVERED] * 2


def test_so_many_studies_are_under_way_and_stat_is_next(database: Database) -> None:
    """An urgent study waits behind those that were begun, and behind no other."""
    bench = Bench(database, studies_at_once=2)
    bench.analysis.gate.clear()
    routine = [bench.complete_study(f"1.2.{number}") for number in range(1, 6)]
    for study in routine:
        bench.submit(study)
    with closing(bench.jobs), bench.working():
        wait_until(lambda: len(bench.analysis.calls) == 2, timeout_seconds=20, what="two studies")
        urgent = bench.complete_study("1.2.9", Priority.STAT)
        bench.submit(urgent)
        time.sleep(1.0)  # several looks into the queue
        assert len(bench.analysis.calls) == 2
        bench.analysis.gate.set()
        for study in (*routine, urgent):
            assert bench.wait_for_end(study).state is StudyState.DELIVERED
    begun = [key for name, key in bench.analysis.calls if name == "assemble"]
    assert urgent.key in begun[2:4]  # two places may be free at the same look
    assert len(begun) == 6

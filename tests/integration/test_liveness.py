"""Signs of life, takeover and reconciling, over real databases and the engine's own tables."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from agent import liveness
from agent.errors import ConfigurationError
from agent.jobs import Jobs
from agent.liveness import Heart, Strays
from running import wait_until
from storage import executors, studies
from storage.database import Database, open_database
from storage.enums import Priority, StudyState
from storage.executors import Beat, Lease
from storage.records import Instance, SeriesUid, SopUid, Study, StudyKey, StudyUid

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OURS = Lease(executor_id="worker-0", owner="ours", place="here:/data", seconds=30.0)


@pytest.fixture
def shared(fresh_postgres_url: str) -> Iterator[Database]:
    """What several hosts work on."""
    database = open_database(fresh_postgres_url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def shared_jobs(shared: Database) -> Iterator[Jobs]:
    jobs = Jobs(shared)
    yield jobs
    jobs.close()


@pytest.fixture
def jobs(database: Database) -> Iterator[Jobs]:
    """The queue on either database."""
    jobs = Jobs(database)
    yield jobs
    jobs.close()


def heart(database: Database, *, place: str = "here:/data", lease_seconds: float = 30.0) -> Heart:
    return Heart(database, executor_id="worker-0", place=place, lease_seconds=lease_seconds)


def claimed(database: Database, lease: Lease) -> bool:
    with database.begin() as session:
        return executors.claim(session, lease)


def beat(database: Database, lease: Lease) -> Beat:
    with database.begin() as session:
        return executors.beat(session, lease)


def complete_study(database: Database, uid: str = "1.2.3") -> Study:
    """A study with one image that is complete, without work."""
    image = Instance(
        study_uid=StudyUid(uid),
        series_uid=SeriesUid(f"{uid}.1"),
        sop_uid=SopUid(f"{uid}.1.1"),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        source_ae="PACS",
        priority=Priority.ROUTINE,
        path=f"images/{uid}.dcm",
        content_sha256=uid.replace(".", "0"),
        received_at=NOW,
    )
    with database.begin() as session:
        (key,) = studies.record_instances(session, [image])
        return studies.complete(session, key, evidence="test", now=NOW)


def submitted(database: Database, jobs: Jobs, uid: str = "1.2.3") -> Study:
    study = complete_study(database, uid)
    with database.begin() as session:
        jobs.submit_analysis(session, study)
    return study


def in_state(database: Database, study: Study, *states: StudyState) -> Study:
    """The study, taken through these states."""
    with database.begin() as session:
        for state in states:
            studies.advance(session, study.key, state, now=NOW)
    return replace(study, state=states[-1])


def mark(database: Database, status: str, executor_id: str = "", *, run: str = "%") -> None:
    """Make runs look as a process left them that is gone."""
    schema = "dbos." if database.engine.dialect.name == "postgresql" else ""
    with database.begin() as session:
        session.execute(
            text(
                f"UPDATE {schema}workflow_status SET status = :status, executor_id = :executor,"
                " owner_xid = 'gone' WHERE workflow_uuid LIKE :run"
            ),
            {"status": status, "executor": executor_id, "run": run},
        )


def runs(database: Database) -> dict[str, str]:
    """The state of every run by the end of its name."""
    schema = "dbos." if database.engine.dialect.name == "postgresql" else ""
    with database.read() as session:
        found = session.execute(text(f"SELECT workflow_uuid, status FROM {schema}workflow_status"))
        return {row.workflow_uuid.split("#1/", 1)[1]: row.status for row in found}


def state_of(database: Database, key: StudyKey) -> StudyState:
    with database.read() as session:
        return studies.get(session, key).state


@pytest.mark.postgres
def test_a_name_that_lives_elsewhere_is_not_given_out_twice(shared: Database) -> None:
    other = replace(OURS, owner="other", place="there:/data")
    assert claimed(shared, OURS)
    assert not claimed(shared, other)
    assert beat(shared, OURS) is Beat.STEADY


@pytest.mark.postgres
def test_who_holds_the_lock_of_the_same_folder_need_not_wait_for_the_lease(
    shared: Database,
) -> None:
    assert claimed(shared, OURS)
    assert claimed(shared, replace(OURS, owner="next"))
    assert beat(shared, OURS) is Beat.LOST


@pytest.mark.postgres
def test_a_lease_runs_out_by_the_clock_of_the_database(shared: Database) -> None:
    short = replace(OURS, seconds=0.1)
    assert claimed(shared, short)
    with shared.read() as session:
        assert executors.living(session) == {"worker-0"}
    time.sleep(0.15)
    with shared.read() as session:
        assert executors.living(session) == frozenset()
    assert beat(shared, short) is Beat.LAPSED
    assert beat(shared, short) is Beat.STEADY


@pytest.mark.postgres
def test_a_worker_whose_name_lives_on_another_host_is_refused_with_a_sentence(
    shared: Database,
) -> None:
    first = heart(shared, lease_seconds=1.0)
    second = heart(shared, place="there:/data", lease_seconds=1.0)
    first.start()
    try:
        with pytest.raises(ConfigurationError, match=r"give each its own node\.slot"):
            second.start()
    finally:
        first.stop()


@pytest.mark.postgres
def test_the_name_of_a_host_that_died_is_taken_once_its_lease_has_run_out(
    shared: Database,
) -> None:
    assert claimed(shared, replace(OURS, seconds=1.0))
    started = time.monotonic()
    next_one = heart(shared, place="there:/data", lease_seconds=1.0)
    next_one.start()
    next_one.stop()
    assert 0.5 < time.monotonic() - started < 3.0


@pytest.mark.postgres
def test_a_worker_whose_name_was_taken_knows_it_and_judges_nobody(shared: Database) -> None:
    ours = heart(shared, lease_seconds=0.5)
    ours.start()
    assert claimed(shared, replace(OURS, owner="next"))
    wait_until(lambda: ours.is_lost, timeout_seconds=5, what="the loss")
    assert not ours.may_judge
    ours.stop()
    with shared.read() as session:
        assert executors.living(session) == {"worker-0"}  # the other's lease is left alone


@pytest.mark.postgres
def test_after_a_gap_of_its_own_a_worker_does_not_judge_others_for_a_lease(
    shared: Database,
) -> None:
    """The database may have been away, and then every lease has run out."""
    ours = heart(shared, lease_seconds=1.0)
    ours.start()
    assert ours.may_judge
    with shared.begin() as session:
        session.execute(text("UPDATE executor SET alive_until = now() - interval '1 minute'"))
    wait_until(lambda: not ours.may_judge, timeout_seconds=5, what="the gap")
    wait_until(lambda: ours.may_judge, timeout_seconds=5, what="a lease without one")
    ours.stop()


@pytest.mark.postgres
def test_runs_of_the_dead_are_queued_again_and_those_of_the_living_left_alone(
    shared: Database, shared_jobs: Jobs
) -> None:
    for uid in ("1.2.3", "1.2.4"):
        submitted(shared, shared_jobs, uid)
    mark(shared, "PENDING", "worker-dead", run="1.2.3#%")
    mark(shared, "PENDING", "worker-0", run="1.2.4#%")
    assert claimed(shared, OURS)
    assert liveness.take_over(shared, shared_jobs) == 1
    (left,) = shared_jobs.begun()
    assert left.executor_id == "worker-0"
    assert liveness.take_over(shared, shared_jobs) == 0


@pytest.mark.postgres
def test_one_worker_takes_over_at_a_time(shared: Database, shared_jobs: Jobs) -> None:
    submitted(shared, shared_jobs)
    mark(shared, "PENDING", "worker-dead")
    with shared.begin() as session:
        assert executors.try_reaping(session)
        assert liveness.take_over(shared, shared_jobs) == 0
    assert liveness.take_over(shared, shared_jobs) == 1


@pytest.mark.postgres
def test_a_run_that_took_four_workers_down_ends_in_a_report_that_says_so(
    shared: Database, shared_jobs: Jobs
) -> None:
    study = submitted(shared, shared_jobs)
    for _ in range(liveness.TAKEOVERS):
        mark(shared, "PENDING", "worker-dead")
        assert liveness.take_over(shared, shared_jobs) == 1
        assert runs(shared) == {"1/analysis": "ENQUEUED"}
    mark(shared, "PENDING", "worker-dead")
    assert liveness.take_over(shared, shared_jobs) == 1
    assert runs(shared) == {"1/analysis": "CANCELLED", "1/failure": "ENQUEUED"}
    assert state_of(shared, study.key) is StudyState.COMPLETE


def test_on_one_host_the_runs_of_a_slot_that_is_gone_go_to_another(
    database: Database, jobs: Jobs
) -> None:
    submitted(database, jobs)
    mark(database, "PENDING", "worker-old")
    assert liveness.take_over_here(database, jobs, lambda name: name == "worker-0") == 0
    assert liveness.take_over_here(database, jobs, lambda name: name == "worker-old") == 1
    assert runs(database) == {"1/analysis": "ENQUEUED"}


def test_a_study_whose_failure_report_fails_too_ends_as_failed(
    database: Database, jobs: Jobs
) -> None:
    study = in_state(database, submitted(database, jobs), StudyState.ANALYSING)
    mark(database, "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
    assert liveness.reconcile(database, jobs) == 1
    assert runs(database)["1/failure"] == "ENQUEUED"
    mark(database, "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
    assert liveness.reconcile(database, jobs) == 1
    assert state_of(database, study.key) is StudyState.FAILED


@pytest.mark.parametrize("status", ["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "CANCELLED"])
def test_a_study_whose_delivery_broke_ends_as_failed_and_is_not_tried_for_ever(
    database: Database, jobs: Jobs, status: str
) -> None:
    way = (StudyState.ANALYSING, StudyState.COMPOSED, StudyState.DELIVERING)
    study = in_state(database, submitted(database, jobs), *way)
    with database.begin() as session:
        jobs.submit_delivery(session, study, "pacs", number=1, delay_seconds=0)
    mark(database, "SUCCESS", run="%/analysis")
    mark(database, status, run="%/delivery/%")
    assert liveness.reconcile(database, jobs) == 1
    assert state_of(database, study.key) is StudyState.FAILED
    assert liveness.reconcile(database, jobs) == 0


@pytest.mark.parametrize(
    "way",
    [
        (StudyState.ANALYSING,),
        (StudyState.ANALYSING, StudyState.COMPOSED),
        (StudyState.ANALYSING, StudyState.COMPOSED, StudyState.DELIVERING),
    ],
    ids=lambda way: way[-1].lower(),
)
def test_a_study_without_live_work_starts_again_from_wherever_it_stood(
    database: Database, jobs: Jobs, way: tuple[StudyState, ...]
) -> None:
    study = in_state(database, submitted(database, jobs), *way)
    mark(database, "SUCCESS")
    assert liveness.reconcile(database, jobs) == 1
    assert state_of(database, study.key) is StudyState.COMPLETE
    assert runs(database)["2/analysis"] == "ENQUEUED"
    assert liveness.reconcile(database, jobs) == 0


def test_a_complete_study_that_was_never_queued_is_queued(database: Database, jobs: Jobs) -> None:
    complete_study(database)
    assert liveness.reconcile(database, jobs) == 1
    assert runs(database) == {"2/analysis": "ENQUEUED"}


def test_a_run_that_was_begun_and_that_its_worker_does_not_know_is_queued_again(
    database: Database, jobs: Jobs
) -> None:
    """Only after two looks: between two steps a worker is busy with nothing for a moment."""

    class Worker:
        executor_id = "worker-0"
        busy = False

        def is_busy_with(self, run_id: str) -> bool:
            return self.busy

    worker = Worker()
    strays = Strays(jobs, worker)
    submitted(database, jobs)
    mark(database, "PENDING", "worker-0")
    assert strays.look() == 0
    worker.busy = True
    assert strays.look() == 0
    worker.busy = False
    assert strays.look() == 0
    assert strays.look() == 1
    assert runs(database) == {"1/analysis": "ENQUEUED"}

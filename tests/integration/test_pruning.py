"""Rows of work that is long over go; whatever is under way, or is history, stays."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Row, func, insert, select, text

import many_studies
from agent.jobs import Jobs
from agent.pruning import KEPT, Pruning
from storage import tables
from storage.database import Database

STUDIES = 20
ENDED = STUDIES - len(many_studies.UNDER_WAY)
HOUR = timedelta(hours=1)


@pytest.fixture
def jobs(database: Database) -> Iterator[Jobs]:
    many_studies.fill(database, studies=STUDIES, images=1)
    made = Jobs(database)
    yield made
    made.close()


def prune(database: Database, jobs: Jobs, *, after: timedelta) -> int:
    """As if it were so much later."""
    return Pruning(database=database, jobs=jobs, at_once=7).run(datetime.now(UTC) + after)


def count(database: Database, table: str) -> int:
    with database.read() as session:
        return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def runs(database: Database) -> dict[str, str]:
    """Their states, by their names."""
    with database.read() as session:
        found = session.execute(text(f"SELECT workflow_uuid, status FROM {engine(database)}"))
        return {row.workflow_uuid: row.status for row in found}


def engine(database: Database, table: str = "workflow_status") -> str:
    return f"dbos.{table}" if database.engine.dialect.name == "postgresql" else table


def requests(database: Database) -> list[Row[tuple[str, ...]]]:
    with database.read() as session:
        return list(session.execute(select(tables.commitment.c.transaction_uid)).all())


def test_what_ended_lately_stays(database: Database, jobs: Jobs) -> None:
    before = runs(database), requests(database)
    assert prune(database, jobs, after=KEPT - 5 * HOUR) == 0
    assert (runs(database), requests(database)) == before


def test_runs_that_ended_long_ago_go_with_their_steps(database: Database, jobs: Jobs) -> None:
    assert count(database, engine(database, "operation_outputs")) > 0
    prune(database, jobs, after=KEPT + HOUR)
    left = runs(database)
    assert sorted(left.values()) == ["DELAYED", "ENQUEUED", "PENDING", "SUCCESS"]
    under_way = {many_studies.study_uid(ENDED + 1 + n) for n in range(len(many_studies.UNDER_WAY))}
    assert {run.split("#", 1)[0] for run in left} <= under_way
    assert count(database, engine(database, "operation_outputs")) == 0


def test_what_a_study_was_and_who_saw_it_stays(database: Database, jobs: Jobs) -> None:
    history = ("study", "instance", "analysis", "result_object", "delivery", "audit_event")
    before = [count(database, table) for table in history]
    prune(database, jobs, after=KEPT + HOUR)
    assert [count(database, table) for table in history] == before


def test_takeovers_go_with_their_run(database: Database, jobs: Jobs) -> None:
    ended, lives = f"{many_studies.study_uid(1)}#1/1/analysis", "lives"
    with database.begin() as session:
        rows = [{"run_id": run, "count": 1} for run in (ended, lives)]
        session.execute(insert(tables.takeover), rows)
    prune(database, jobs, after=KEPT + HOUR)
    with database.read() as session:
        assert session.scalars(select(tables.takeover.c.run_id)).all() == [lives]


def test_requests_go_once_their_study_ended_long_ago(database: Database, jobs: Jobs) -> None:
    assert len(requests(database)) == ENDED + 1
    prune(database, jobs, after=KEPT + HOUR)
    assert len(requests(database)) == 1
    with database.read() as session:
        waiting = select(tables.delivery.c.transaction_uid).where(tables.delivery.c.proof.is_(None))
        assert requests(database) == session.execute(waiting.distinct()).all()


def test_a_request_that_was_made_again_goes(database: Database, jobs: Jobs) -> None:
    with database.begin() as session:  # nothing names the first one any more
        waiting = tables.delivery.c.proof.is_(None)
        session.execute(tables.delivery.update().where(waiting).values(transaction_uid="2.25.1"))
    prune(database, jobs, after=KEPT + HOUR)
    assert requests(database) == []


def test_trainings_stay_for_they_are_counted(database: Database, jobs: Jobs) -> None:
    with database.begin() as session:
        jobs.submit_training(session, "spring")
    ended = f"UPDATE {engine(database)} SET status = 'SUCCESS', completed_at = 1"
    with database.begin() as session:
        session.execute(text(f"{ended} WHERE workflow_uuid LIKE 'training/%'"))
    prune(database, jobs, after=KEPT + HOUR)
    with database.begin() as session:
        jobs.submit_training(session, "spring")
    assert {"training/spring/1", "training/spring/2"} <= runs(database).keys()


def test_one_run_is_bounded(
    database: Database, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.pruning.BATCHES", 1)
    assert prune(database, jobs, after=KEPT + HOUR) == 2 * 7  # runs and requests
    with database.read() as session:
        left = session.scalar(select(func.count()).select_from(tables.commitment))
    assert left == ENDED + 1 - 7

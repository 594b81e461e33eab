"""What a node does all day looks at few rows, however many there are, on both databases."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

import many_studies
from agent.pruning import KEPT, Pruning
from grown_node import ASKED, GrownNode, grown
from storage import figures
from storage.database import Database

STUDIES, IMAGES = 4000, 6
WHOLE_TABLES = frozenset(
    {
        *("study", "instance", "series_decision", "analysis", "lesion", "result_object"),
        *("delivery", "commitment", "audit_event", "workflow_status", "operation_outputs"),
    }
)
# Read from one end up to a limit, or over few rows.
MAY_BE_WALKED = frozenset(
    {
        *("ix_study_received", "ix_study_incomplete"),
        *("ix_delivery_failed", "ix_delivery_unproven"),
    }
)

Statement = tuple[str, Any]


@pytest.fixture
def node(database: Database, tmp_path: Path) -> Iterator[GrownNode]:
    many_studies.fill(database, studies=STUDIES, images=IMAGES)
    made = grown(tmp_path / "node", database, STUDIES)
    yield made
    made.jobs.close()


def watch(node: GrownNode) -> None:
    """What metrics and alarms ask at every scrape and do not remember."""
    with node.database.read() as session:
        figures.failed(session)
        figures.incomplete(session)
        figures.failed_deliveries(session)
        figures.unconfirmed(session)
        figures.oldest_waiting(session)
        figures.oldest_undelivered(session)
        figures.passages(session, datetime.now(UTC) - timedelta(hours=1))


def prune(node: GrownNode) -> None:
    once = Pruning(database=node.database, jobs=node.jobs, at_once=10)
    once.stopping.set()
    assert once.run(datetime.now(UTC) + KEPT - timedelta(hours=1)) == 20


WORK: dict[str, Callable[[GrownNode], object]] = {
    "studies list": GrownNode.list_studies,
    "a later page": GrownNode.list_an_old_page,
    "studies show": GrownNode.show_study,
    "audit list": GrownNode.list_audit,
    "a new study": GrownNode.record_a_new_study,
    "more of a study": GrownNode.record_more_of_a_study,
    "ours?": GrownNode.ask_whether_it_is_ours,
    "commitment": lambda node: node.answer_commitment(node.sop_uids(ASKED)),
    "completion": lambda node: node.look_for_complete_studies()(),
    "enqueueing": GrownNode.enqueue,
    "reconciling": GrownNode.reconcile,
    "sending": GrownNode.look_for_what_is_to_be_sent,
    "audit": GrownNode.append_to_audit,
    "watching": watch,
    "retention": GrownNode.look_for_what_may_go,
    "start": lambda node: node.compare_files_with_rows(node.paths(ASKED)),
    "pruning": prune,
}


@pytest.mark.parametrize("analysed", [True, False], ids=["analysed", "never analysed"])
def test_nothing_that_is_done_all_day_looks_at_a_whole_table(
    node: GrownNode, analysed: bool
) -> None:
    """On SQLite nobody gathers statistics for the planner; PostgreSQL does so by itself."""
    sqlite = node.database.engine.dialect.name == "sqlite"
    if not analysed:
        if not sqlite:
            pytest.skip("PostgreSQL always has statistics")
        with node.database.engine.connect() as connection:
            connection.exec_driver_sql("DROP TABLE sqlite_stat1")
            connection.exec_driver_sql("DROP TABLE IF EXISTS sqlite_stat4")
            connection.commit()
        node.database.engine.dispose()
    slow = []
    for name, work in WORK.items():
        with recorded() as statements:
            work(node)
        assert statements, name
        slow += [f"{name}: {found}" for found in walks(node.database, statements)]
    assert not slow, "\n".join(slow)


def test_the_check_sees_a_whole_table_that_is_read(node: GrownNode) -> None:
    """Guards the test above."""
    with recorded() as statements, node.database.read() as session:
        figures.deliveries(session)
        figures.by_state(session)
    assert len(walks(node.database, statements)) >= 2


@contextmanager
def recorded() -> Iterator[list[Statement]]:
    """Every statement of every engine in the block, with its parameters."""
    found: list[Statement] = []

    def note(_c: Any, _u: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
        if statement.split(maxsplit=1)[0] in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
            found.append((statement, parameters[0] if many else parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def walks(database: Database, statements: list[Statement]) -> list[str]:
    """The steps of their plans that read a large table from one end to the other."""
    plan = _sqlite_plan if database.engine.dialect.name == "sqlite" else _postgresql_plan
    with database.engine.connect() as connection:
        found = [
            f"{step} in {statement}"
            for statement, parameters in dict(statements).items()  # each text once
            for step in plan(connection, statement, parameters)
            if _is_walk(step, " ".join(statement.split()))
        ]
        connection.rollback()
    return found


def _is_walk(step: str, statement: str) -> bool:
    words = frozenset(step.replace('"', "").split())
    if not step.startswith(("SCAN", "Seq Scan")) or words & MAY_BE_WALKED:
        return False
    newest_events = "ORDER BY audit_event.number DESC LIMIT" in statement  # from the end
    return bool(words & WHOLE_TABLES) and not newest_events


def _sqlite_plan(connection: Any, statement: str, parameters: Any) -> Iterator[str]:
    for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
        yield row[3]


def _postgresql_plan(connection: Any, statement: str, parameters: Any) -> Iterator[str]:
    for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters):
        yield row[0].strip().removeprefix("->").strip()

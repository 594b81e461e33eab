"""Listener and worker as two processes over one PostgreSQL."""

from dataclasses import replace
from pathlib import Path

import pytest

import demo_study
from agent.demo.pacs import SimulatedPacs
from running import RunningNode, running
from storage.enums import StudyState

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


def test_listen_and_work_share_one_postgresql(tmp_path: Path, fresh_postgres_url: str) -> None:
    with SimulatedPacs(tmp_path / "pacs") as pacs:
        listening = RunningNode(
            folder=tmp_path / "node", role="listen", database_url=fresh_postgres_url
        )
        working = replace(listening, role="work", destinations=(pacs.destination,))
        with running(listening), running(working):
            pacs.send(demo_study.IMAGES, listening.address)
            view = working.wait_for_end()
            assert listening.stop() == 0
            assert working.stop() == 0
        assert len(pacs.received()) == len(view.objects)
    assert view.states == [StudyState.DELIVERED]


def test_a_worker_killed_on_postgresql_takes_its_work_up_again(
    tmp_path: Path, fresh_postgres_url: str
) -> None:
    with SimulatedPacs(tmp_path / "pacs") as pacs:
        listening = RunningNode(
            folder=tmp_path / "node", role="listen", database_url=fresh_postgres_url
        )
        working = replace(listening, role="work", destinations=(pacs.destination,))
        with running(listening):
            with running(working):
                pacs.send(demo_study.IMAGES, listening.address)
                working.wait_for_event("step_started", step="analyse")
                working.kill()
            with running(working):
                view = working.wait_for_end()
        assert len(pacs.received()) == len(view.objects)
    assert view.states == [StudyState.DELIVERED]


def test_a_second_worker_of_the_same_slot_is_refused(
    tmp_path: Path, fresh_postgres_url: str
) -> None:
    """Two workers of one name would take each other's running work for a crash's."""
    working = RunningNode(folder=tmp_path / "node", role="work", database_url=fresh_postgres_url)
    with running(working), pytest.raises(AssertionError, match="slot"):
        replace(working).start()

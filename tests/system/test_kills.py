"""The node under repeated kills, frozen, and with a database that goes away: the four zeros hold.

`tests/benchmarks/kills.py` does the same at length.
"""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import copyfile

import pytest

import killed
from agent.demo.pacs import SimulatedPacs
from killing import ALL, FILE, QUIET, RECEIVING, STORED, Site
from postgres import Postgres
from preloaded import Preloaded
from running import Launch, RunningNode, running, wait_until

pytestmark = pytest.mark.slow

LEASE_SECONDS = 5.0


@pytest.fixture(scope="module")
def launch() -> Iterator[Launch]:
    """Starts processes that need not import everything first."""
    with Preloaded() as preloaded:
        yield preloaded.launch


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[SimulatedPacs]:
    """Where the results go."""
    with SimulatedPacs(tmp_path / "pacs") as pacs:
        yield pacs


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server that only this test breaks off."""
    with Postgres() as server:
        yield server


@pytest.fixture
def shared(tmp_path: Path, pacs: SimulatedPacs, server: Postgres, launch: Launch) -> Iterator[Site]:
    """A listener and two workers on PostgreSQL."""
    site = Site(tmp_path, pacs, database_url=server.url, lease_seconds=LEASE_SECONDS, launch=launch)
    with site.running():
        yield site


def ended(site: Site) -> killed.Verdict:
    """What is to be said once every study has ended."""
    site.settle(timeout_seconds=120)
    return killed.examine(site)


def test_kills_of_the_node_on_sqlite_lose_nothing(
    tmp_path: Path, pacs: SimulatedPacs, launch: Launch
) -> None:
    site = Site(tmp_path, pacs, launch=launch)
    with site.running():
        for point in (RECEIVING, FILE, QUIET, "compose", "deliver", STORED):
            site.kill_at(point)
        verdict = ended(site)
    assert verdict.is_clean, verdict
    assert site.kills.total() == verdict.studies == 6


@pytest.mark.postgres
def test_kills_of_listener_and_workers_on_postgresql_lose_nothing(shared: Site) -> None:
    for point in (FILE, QUIET, "analyse", "hand_over", STORED, ALL):
        shared.kill_at(point)
    verdict = ended(shared)
    assert verdict.is_clean, verdict
    assert shared.kills.total() == verdict.studies == 6


@pytest.mark.postgres
def test_a_worker_that_was_frozen_past_its_lease_changes_nothing_when_it_goes_on(
    shared: Site,
) -> None:
    study = shared.new_study()
    frozen = shared.watch(study, "analyse")
    process = frozen.process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: not shared.unfinished(), timeout_seconds=60, what=shared.told)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    frozen.wait_for_event("lease_lapsed")
    shared.send(shared.new_study()).join(60)
    verdict = ended(shared)
    assert verdict.is_clean, verdict
    assert process.poll() is None


@pytest.mark.postgres
def test_a_database_that_breaks_off_holds_everything_up_and_loses_nothing(
    shared: Site, server: Postgres
) -> None:
    """Longer than the tries of a step take; the sender is answered all the while."""
    for away_seconds in (0.0, 8.0):
        shared.outlast(partial(server.restart, away_seconds=away_seconds))
    verdict = ended(shared)
    assert verdict.is_clean, verdict
    assert verdict.silent == []
    assert all(node.process and node.process.poll() is None for node in shared.nodes)


def test_a_locked_database_holds_everything_up_and_loses_nothing(
    tmp_path: Path, pacs: SimulatedPacs, launch: Launch
) -> None:
    site = Site(tmp_path, pacs, launch=launch)
    with site.running():
        study = site.new_study()
        file = site.listener.url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as writer:
            sender = site.send(study)
            site.wait_for_files(study)
            writer.execute("BEGIN IMMEDIATE")
            time.sleep(8)
            sender.join(1)
            assert not sender.is_alive()  # every image was acknowledged meanwhile
            writer.execute("ROLLBACK")
        verdict = ended(site)
    assert verdict.is_clean, verdict
    assert verdict.silent == []


@pytest.mark.postgres
def test_a_worker_of_another_host_with_the_same_slot_is_refused(
    tmp_path: Path, fresh_postgres_url: str
) -> None:
    first = RunningNode(
        folder=tmp_path / "first",
        role="work",
        database_url=fresh_postgres_url,
        lease_seconds=LEASE_SECONDS,
    )
    second = replace(first, folder=tmp_path / "second")
    with running(first):
        # As if both had one folder of a server, or one bucket.
        (second.folder / "data").mkdir(parents=True)
        copyfile(first.folder / "data/installation", second.folder / "data/installation")
        with pytest.raises(AssertionError, match=r"give each its own node\.slot"):
            second.start()
        assert first.stop() == 0

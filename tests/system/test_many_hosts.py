"""Listeners and workers on hosts of their own, over one PostgreSQL and one bucket."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

import buckets
import builders
from agent.demo.pacs import SimulatedPacs
from agent.dicom import commitment
from agent.dicom.commitment_messages import Reference, Report
from buckets import S3Server
from hosts import Host, Network, Tunnel, network
from reception import association_to, store_dataset
from running import RunningNode, View, running, wait_until
from storage.enums import Priority, StudyState
from storage.records import SopUid

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

SLICES = 16
LEASE_SECONDS = 5.0
QUIET_SECONDS = 1.0
HIGH = 1  # Priority (0000,0700) of a C-STORE request


@dataclass(frozen=True, kw_only=True)
class Site:
    """What the hosts share."""

    folder: Path
    network: Network
    server: S3Server
    pacs: SimulatedPacs
    database_url: str

    @property
    def hosts(self) -> tuple[Host, ...]:
        return self.network.hosts

    def listener(self, host: Host, database_url: str) -> RunningNode:
        return self._node(host, "listen", database_url)

    def worker(self, host: Host, database_url: str) -> RunningNode:
        return self._node(host, "work", database_url)

    def _node(self, host: Host, role: str, url: str) -> RunningNode:
        return RunningNode(
            folder=self.folder / host.name,
            role=role,
            slot=host.name,
            host=host.address,
            launch=host.launch,
            database_url=url,
            lease_seconds=LEASE_SECONDS,
            quiet_seconds=QUIET_SECONDS,
            results=('heatmap = "off"',),
            destinations=(self.pacs.destination,),
            node=(
                'accept = "anyone"',
                'files_url = "s3://node/images"',
                f'files_endpoint = "{self.server.endpoint}"',
                f'files_key_id = "{buckets.KEY_ID}"',
                f'files_secret = "{buckets.SECRET}"',
            ),
        )


@pytest.fixture
def site(tmp_path: Path, fresh_postgres_url: str) -> Iterator[Site]:
    with ExitStack() as stack:
        net = stack.enter_context(network(4))
        server = stack.enter_context(buckets.s3_server(host=net.bridge))
        server.make_bucket("node")
        pacs = stack.enter_context(SimulatedPacs(tmp_path / "pacs", host=net.bridge))
        yield Site(
            folder=tmp_path,
            network=net,
            server=server,
            pacs=pacs,
            database_url=fresh_postgres_url,
        )


def images(name: str, slices: int = SLICES) -> list[Dataset]:
    return builders.flair_series(slices=slices, rows=48, columns=48, study=name, series=name)


def send(node: RunningNode, datasets: list[Dataset], *, priority: int = 2) -> None:
    with association_to(node.port, host=node.host, title="PACS") as association:
        for one in datasets:
            assert store_dataset(association, one, priority=priority) == 0x0000


def every_study_was_done_once(view: View, site: Site, *, count: int) -> None:
    """One revision each, one analysis each, each object at the PACS and delivered once."""
    assert len(view.studies) == count
    assert {study.revision for study in view.studies} == {1}
    assert set(view.states) <= {StudyState.DELIVERED, StudyState.NOT_ANALYSED}
    assert {study.attempt for study in view.studies} == {1}
    assert all(view.analyses)
    assert len(site.pacs.received()) == len(view.objects) == len(view.deliveries)
    assert {delivery.attempts for delivery in view.deliveries} == {1}


def test_two_listeners_and_two_workers_do_every_study_once(site: Site) -> None:
    """Also one that comes over both listeners at once, and the urgent one first."""
    a, b, c, d = site.hosts
    with ExitStack() as stack:
        tunnel = stack.enter_context(Tunnel(site.database_url, site.network.bridge))
        first = stack.enter_context(running(site.listener(a, tunnel.url)))
        second = stack.enter_context(running(site.listener(b, tunnel.url)))
        for number in range(4):
            send((first, second)[number % 2], images(f"study {number}"))
        split = images("split")
        with association_to(second.port, host=second.host, title="PACS") as slow:
            for one in split[:8]:
                assert store_dataset(slow, one) == 0x0000
            send(first, split[8:12])
            # Longer than the quiet time: the first listener knows of no association with it.
            wait_until(
                lambda: states(first).count(StudyState.COMPLETE) == 4,
                timeout_seconds=30,
                what="the other four",
            )
            time.sleep(2 * QUIET_SECONDS)
            assert states(first).count(StudyState.RECEIVING) == 1
            for one in split[12:]:
                assert store_dataset(slow, one) == 0x0000
        send(second, images("urgent"), priority=HIGH)
        wait_until(
            lambda: states(first).count(StudyState.COMPLETE) == 6,
            timeout_seconds=30,
            what="all six",
        )
        third = stack.enter_context(running(site.worker(c, tunnel.url)))
        fourth = stack.enter_context(running(site.worker(d, tunnel.url)))
        view = third.wait_for_end(studies_expected=6)
        begun = Counter[str]()
        for worker in (third, fourth):
            begun.update(
                str(one["study"])
                for one in worker.events("step_started")
                if one["step"] == "analyse"
            )
    every_study_was_done_once(view, site, count=6)
    assert view.instance_count == 6 * SLICES
    assert set(begun.values()) == {1}
    (urgent,) = (one for one in view.studies if one.priority is Priority.STAT)
    assert first_begun([third, fourth]) == urgent.key


def test_a_dead_listeners_images_get_their_rows_from_the_other(site: Site) -> None:
    """Its database was away, so only the bucket has them when its host dies."""
    a, b, c, _ = site.hosts
    with ExitStack() as stack:
        own = stack.enter_context(Tunnel(site.database_url, site.network.bridge))
        others = stack.enter_context(Tunnel(site.database_url, site.network.bridge))
        doomed = stack.enter_context(running(site.listener(a, own.url)))
        survivor = stack.enter_context(running(site.listener(b, others.url)))
        working = stack.enter_context(running(site.worker(c, others.url)))
        own.cut()
        send(doomed, images("orphan"))
        assert survivor.view().studies == ()
        doomed.kill()
        view = working.wait_for_end(timeout_seconds=90)
        assert survivor.events("listener_gone")
    every_study_was_done_once(view, site, count=1)
    assert view.instance_count == SLICES


def test_a_host_that_is_cut_off_has_its_work_taken_over(site: Site) -> None:
    """It comes back, and finds that others have done it: nothing is done twice."""
    a, b, c, _ = site.hosts
    with ExitStack() as stack:
        tunnel = stack.enter_context(Tunnel(site.database_url, site.network.bridge))
        listening = stack.enter_context(running(site.listener(a, tunnel.url)))
        lost = stack.enter_context(running(site.worker(b, tunnel.url)))
        for number in range(3):
            send(listening, images(f"study {number}"))
        lost.wait_for_event("step_started", step="analyse")
        b.unplug()
        other = stack.enter_context(running(site.worker(c, tunnel.url)))
        other.wait_for_event("run_taken_over", timeout_seconds=60)
        b.plug()
        view = other.wait_for_end(studies_expected=3)
    assert len(view.studies) == 3
    assert set(view.states) <= {StudyState.DELIVERED, StudyState.NOT_ANALYSED}
    assert all(view.analyses)
    assert len(site.pacs.received()) == len(view.objects) == len(view.deliveries)


def test_a_listener_vouches_for_what_another_has_taken(site: Site) -> None:
    """Storage commitment, asked at the second host."""
    a, b, *_ = site.hosts
    with ExitStack() as stack:
        tunnel = stack.enter_context(Tunnel(site.database_url, site.network.bridge))
        first = stack.enter_context(running(site.listener(a, tunnel.url)))
        second = stack.enter_context(running(site.listener(b, tunnel.url)))
        sent = images("vouched", 4)
        send(first, sent)
        assert vouched(second, sent) == {str(one.SOPInstanceUID) for one in sent}


def vouched(node: RunningNode, sent: list[Dataset]) -> set[str]:
    """The images that a listener says it keeps."""
    told: SimpleQueue[Report] = SimpleQueue()
    references = [
        Reference(sop_class_uid=str(one.SOPClassUID), sop_uid=SopUid(str(one.SOPInstanceUID)))
        for one in sent
    ]
    with commitment.asked(
        node.address, str(generate_uid()), references, calling_ae="PACS", take=told.put
    ) as opened:
        opened.wait(lambda: not told.empty(), seconds=20)
        return {str(uid) for uid in told.get(block=False).committed}


def first_begun(workers: list[RunningNode]) -> object:
    """The study whose analysis began before all others, on any host."""
    events = [one for worker in workers for one in worker.events("step_started")]
    return min(events, key=lambda one: str(one["time"]))["study"]


def states(node: RunningNode) -> list[StudyState]:
    return [study.state for study in node.view().studies]

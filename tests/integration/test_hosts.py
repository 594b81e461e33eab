"""What hosts that share one PostgreSQL tell each other, and what keeps them apart."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

import builders
import together
from agent import bootstrap
from agent.bootstrap.kept import installation
from agent.dicom import recovery
from agent.dicom.commitment_messages import Reference
from agent.dicom.kept_images import KeptImages
from agent.errors import ConfigurationError
from agent.model_store import ModelStore
from agent.presence import Presence
from agent.retention import REMOVAL_LOCK, Policy, Retention
from agent.status import workers
from agent.tidying import Tidying
from agent.training import TrainingSteps
from reception import association_to, receiving_node, store_dataset
from running import wait_until
from storage import executors, listeners, studies, training
from storage.database import Database, open_database
from storage.enums import TrainingState
from storage.errors import StorageError
from storage.executors import Lease
from storage.files import FileStore
from storage.model_records import TrainingRun
from storage.records import SopUid, StudyUid
from storage.store import Store

pytestmark = pytest.mark.postgres

LEASE_SECONDS = 1.0
A, B = StudyUid("1.2.1"), StudyUid("1.2.2")


class Growing:
    """In place of a listener: the studies that grow at it."""

    def __init__(self, *studies: StudyUid) -> None:
        self.studies = frozenset(studies)

    def open_studies(self) -> frozenset[StudyUid]:
        return self.studies


@pytest.fixture
def shared(fresh_postgres_url: str) -> Iterator[Database]:
    database = open_database(fresh_postgres_url)
    database.migrate()
    with closing(database):
        yield database


def presence(
    database: Database,
    store: Store,
    listener: Growing,
    *,
    look_at_all: Callable[[], None] = lambda: None,
) -> Presence:
    return Presence(
        database,
        store,
        listener,
        look_at_all=look_at_all,
        place="here",
        lease_seconds=LEASE_SECONDS,
    )


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files", reserve_bytes=0)


def test_each_listener_knows_what_grows_at_the_others(shared: Database, store: FileStore) -> None:
    here, there = Growing(A), Growing()
    ours, theirs = presence(shared, store, here), presence(shared, store, there)
    ours.start()
    theirs.start()
    try:
        assert ours.open_studies() == {A}
        wait_until(lambda: A in theirs.open_studies(), timeout_seconds=5, what="A, told")
        there.studies = frozenset({B})
        wait_until(lambda: ours.open_studies() == {A, B}, timeout_seconds=5, what="B, told")
        here.studies = frozenset()
        wait_until(lambda: theirs.open_studies() == {B}, timeout_seconds=5, what="the end of A")
        there.studies = frozenset()
    finally:
        theirs.stop()
        assert ours.open_studies() == frozenset()
        ours.stop()


def test_who_stops_with_images_without_rows_leaves_them_to_the_others(
    shared: Database, store: FileStore
) -> None:
    stopping, other = presence(shared, store, Growing(A)), presence(shared, store, Growing())
    stopping.start()
    stopping.stop()
    assert other.open_studies() == {A}
    other.start()
    try:
        wait_until(lambda: not other.open_studies(), timeout_seconds=10, what="the end of A")
    finally:
        other.stop()


class Slow(FileStore):
    """A store with so many files that nobody ever sees all of them."""

    def image_paths(self, folders: Iterable[str] | None = None) -> Iterator[str]:
        if folders is None:
            raise StorageError("There are too many to list.")
        return super().image_paths(folders)


def test_one_listener_makes_the_rows_that_a_dead_one_owes(shared: Database, tmp_path: Path) -> None:
    """First of what grew at it, which nobody completes before; what grew counts no longer then."""
    images = builders.flair_series(slices=4, rows=16, columns=16, spacing_mm=(6, 3, 3))
    study_uid = StudyUid(str(images[0].StudyInstanceUID))
    with receiving_node(tmp_path) as dead, association_to(dead.listener.port) as association:
        for one in images:
            assert store_dataset(association, one) == 0x0000
        store = Slow(dead.store.root, reserve_bytes=0)
    with shared.begin() as session:
        listeners.renew(
            session,
            "dead",
            place="there",
            open_studies=frozenset({study_uid}),
            seconds=LEASE_SECONDS,
        )
    living = presence(shared, store, Growing())
    living.start()
    try:
        assert living.open_studies() == {study_uid}
        wait_until(lambda: not living.open_studies(), timeout_seconds=20, what="the burial")
        assert row_count(shared) == 4
    finally:
        living.stop()


def test_after_the_end_of_a_listener_the_others_find_what_it_did_not_tell_of(
    shared: Database, tmp_path: Path
) -> None:
    store = FileStore(tmp_path / "files", reserve_bytes=0)
    tidying = Tidying(store, shared)
    tidying.start()  # and looks at an empty store
    images = builders.flair_series(slices=4, rows=16, columns=16, spacing_mm=(6, 3, 3))
    with receiving_node(tmp_path) as dead, association_to(dead.listener.port) as association:
        for one in images:
            assert store_dataset(association, one) == 0x0000
    with shared.begin() as session:
        listeners.renew(
            session, "dead", place="there", open_studies=frozenset(), seconds=LEASE_SECONDS
        )
    living = presence(shared, store, Growing(), look_at_all=tidying.look_again)
    living.start()
    try:
        wait_until(lambda: row_count(shared) == 4, timeout_seconds=20, what="the rows")
    finally:
        living.stop()
        tidying.stop()


def test_two_that_rebuild_at_once_make_each_row_once(shared: Database, tmp_path: Path) -> None:
    images = builders.flair_series(slices=12, rows=16, columns=16, spacing_mm=(6, 3, 3))
    with receiving_node(tmp_path) as node, association_to(node.listener.port) as association:
        for one in images:
            assert store_dataset(association, one) == 0x0000
        store = node.store
    hosts = [open_database(shared.url) for _ in range(3)]
    together.run(threads=[(recovery.rebuild, (store, host)) for host in hosts])
    for host in hosts:
        host.close()
    assert row_count(shared) == 12
    with shared.read() as session:
        (study,) = studies.list_studies(session)
    assert (study.instance_count, study.revision) == (12, 1)


def test_commitment_waits_a_moment_for_rows_of_another_listener(
    shared: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (image,) = builders.flair_series(slices=1, rows=16, columns=16, spacing_mm=(6, 3, 3))
    with receiving_node(tmp_path) as node, association_to(node.listener.port) as association:
        assert store_dataset(association, image) == 0x0000
        held = KeptImages(
            database=shared, store=node.store, receipts=node.receipts, looks_twice=True
        )
        assert node.receipts.flush()
        monkeypatch.setattr(
            "agent.dicom.kept_images.time.sleep",
            lambda _: recovery.rebuild(node.store, shared),
        )
        asked = Reference(
            sop_class_uid=str(image.SOPClassUID), sop_uid=SopUid(str(image.SOPInstanceUID))
        )
        assert held.examine([asked]) == {}


def test_hosts_with_one_folder_have_one_identity(shared: Database, tmp_path: Path) -> None:
    first, second = (FileStore(tmp_path / "one", reserve_bytes=0) for _ in range(2))
    identity = installation(bootstrap.Storage(database=shared, store=first))
    assert installation(bootstrap.Storage(database=shared, store=second)) == identity


@pytest.mark.parametrize("used_before", [False, True])
def test_a_host_with_other_files_is_refused(
    shared: Database, tmp_path: Path, used_before: bool
) -> None:
    installation(
        bootstrap.Storage(database=shared, store=FileStore(tmp_path / "one", reserve_bytes=0))
    )
    other = FileStore(tmp_path / "other", reserve_bytes=0)
    if used_before:
        other.keep_identity("8d9d2b5e-0000-4000-8000-000000000000")
    with pytest.raises(ConfigurationError, match="must share"):
        installation(bootstrap.Storage(database=shared, store=other))
    assert used_before or other.identity() is None


def test_an_identity_from_before_stays(shared: Database, tmp_path: Path) -> None:
    """Earlier versions wrote it into the data folder alone."""
    store = FileStore(tmp_path / "one", reserve_bytes=0)
    store.keep_identity("8d9d2b5e-0000-4000-8000-000000000000")
    found = installation(bootstrap.Storage(database=shared, store=store))
    assert str(found) == "8d9d2b5e-0000-4000-8000-000000000000"


def test_files_are_removed_by_one_host_at_a_time(shared: Database, store: FileStore) -> None:
    retention = Retention(database=shared, store=store, policy=Policy(images_days=1))
    with closing(open_database(shared.url)) as other, other.alone(REMOVAL_LOCK) as alone:
        assert alone
        with pytest.raises(ConfigurationError, match="at this moment"):
            retention.run(datetime.now(UTC))
    retention.run(datetime.now(UTC))


def test_workers_of_other_hosts_are_seen(shared: Database, tmp_path: Path) -> None:
    lease = Lease(executor_id="worker-b", owner="x", place="there", seconds=30)
    with shared.begin() as session:
        assert executors.claim(session, lease)
    assert [one.slot for one in workers.seen(tmp_path, shared) if one.alive] == ["b"]


def test_a_training_that_another_host_prepared_says_where_it_can_run(
    shared: Database, tmp_path: Path
) -> None:
    asked = TrainingRun(
        name="one",
        state=TrainingState.QUEUED,
        folder="training/one",
        recipe="",
        base_name=None,
        base_version=None,
        device="cpu",
        asked_by="anna",
        asked_at=datetime.now(UTC),
    )
    with shared.begin() as session:
        training.add(session, asked)
    models = ModelStore(tmp_path, sequence="FLAIR")
    TrainingSteps(database=shared, store=models, data_dir=tmp_path).train("one")
    with shared.read() as session:
        ended = training.get(session, "one")
    assert ended.state is TrainingState.FAILED
    assert "on the host that trains" in (ended.error or "")


def row_count(database: Database) -> int:
    with database.read() as session:
        return int(session.scalar(text("SELECT count(*) FROM instance")) or 0)

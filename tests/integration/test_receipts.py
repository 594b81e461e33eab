"""Rows in batches, and rows made again from the files: with a real database and real files."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import builders
from agent.dicom import part10, receipts
from agent.dicom.receipts import Receipts
from reception import (
    ReceivingNode,
    association_to,
    migrated_database,
    receiving_node,
    store_dataset,
)
from storage import studies
from storage.database import Database
from storage.files import FileStore
from storage.records import Instance, Priority, SeriesUid, SopUid, StudyKey, StudyUid

STUDY = StudyUid("1.2.3")
KEY = StudyKey(f"{STUDY}#1")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = migrated_database(tmp_path)
    yield database
    database.close()


def instance(number: int) -> Instance:
    return Instance(
        study_uid=STUDY,
        series_uid=SeriesUid("1.2.3.4"),
        sop_uid=SopUid(f"1.2.3.4.{number}"),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        source_ae="MODALITY",
        priority=Priority.ROUTINE,
        path=f"images/x/{number}.dcm",
        content_sha256=f"{number:064x}",
        received_at=datetime.now(UTC),
    )


def recorded(database: Database) -> set[str]:
    with database.read() as session:
        return {one.sop_uid for one in studies.instances_of(session, KEY)}


def test_everything_added_is_in_the_database_after_a_flush(database: Database) -> None:
    rows = Receipts(database)
    rows.start()
    added = [instance(number) for number in range(100)]
    for one in added:
        rows.add(one)
    assert rows.flush()
    assert recorded(database) == {one.sop_uid for one in added}
    rows.stop()


def test_rows_come_without_a_flush_too(database: Database) -> None:
    rows = Receipts(database, flush_seconds=0.01)
    rows.start()
    rows.add(instance(1))
    deadline = time.monotonic() + 10
    while rows.waiting_studies() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert recorded(database) == {"1.2.3.4.1"}
    rows.stop()


def test_stopping_commits_what_waits(database: Database) -> None:
    rows = Receipts(database, flush_seconds=60)
    rows.start()
    rows.add(instance(1))
    rows.stop()
    assert recorded(database) == {"1.2.3.4.1"}


def test_nothing_is_lost_while_the_database_is_away(tmp_path: Path) -> None:
    """A folder in the place of the file stands for any database that does not answer."""
    database = migrated_database(tmp_path)
    file, away = tmp_path / "node.sqlite", tmp_path / "away.sqlite"
    database.close()
    file.replace(away)
    file.mkdir()  # SQLite cannot open a folder
    rows = Receipts(database)
    rows.start()
    rows.add(instance(1))
    assert not rows.flush(timeout_seconds=0.3)
    assert rows.waiting_studies() == {STUDY}
    file.rmdir()
    away.replace(file)
    assert rows.flush(timeout_seconds=10)
    assert recorded(database) == {"1.2.3.4.1"}
    rows.stop()
    database.close()


def test_one_row_that_is_refused_does_not_hold_up_the_others(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    rows = Receipts(database, flush_seconds=60)
    impossible = dataclasses.replace(instance(2), sop_class_uid=None)  # type: ignore[arg-type]
    rows.start()
    for one in (instance(1), impossible, instance(3)):
        rows.add(one)
    assert rows.flush(timeout_seconds=10)
    assert recorded(database) == {"1.2.3.4.1", "1.2.3.4.3"}
    assert "An image has no row; its file is kept" in caplog.messages
    rows.stop()


def test_a_slow_database_slows_the_sender_but_never_stops_it(database: Database) -> None:
    rows = Receipts(database, maximum_waiting=1, patience_seconds=0.05)
    with database.begin():  # holds the only writer's place
        rows.start()
        begun = time.monotonic()
        for number in range(4):
            rows.add(instance(number))
        assert 0.1 < time.monotonic() - begun < 5
    assert rows.flush()
    assert len(recorded(database)) == 4
    rows.stop()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ReceivingNode]:
    """A node that has received a study of three images, the first of them twice, then changed."""
    images = builders.flair_series(slices=3)
    with receiving_node(tmp_path) as running:
        with association_to(running.listener.port) as association:
            for image in (*images, images[0]):
                assert store_dataset(association, image) == 0
            images[0].SeriesDescription = "changed"
            assert store_dataset(association, images[0]) == 0
        assert running.receipts.flush()
        yield running


def rebuilt(node: ReceivingNode, folder: Path) -> tuple[int, tuple[Instance, ...]]:
    """Rebuild all rows in a new database; how many were made and what a study then holds."""
    folder.mkdir()
    database = migrated_database(folder)
    count = receipts.rebuild(node.store, database)
    with database.read() as session:
        found = studies.instances_of(session, KEY_OF_BUILDERS)
    database.close()
    return count, found


KEY_OF_BUILDERS = StudyKey(f"{builders.uid('study', '1')}#1")


def test_lost_rows_are_made_from_the_files(node: ReceivingNode, tmp_path: Path) -> None:
    count, found = rebuilt(node, tmp_path / "new")
    with node.database.read() as session:
        before = studies.instances_of(session, KEY_OF_BUILDERS)
    assert count == 4
    assert [dataclasses.replace(one, received_at=None) for one in found] == [  # type: ignore[arg-type]
        dataclasses.replace(one, received_at=None)  # type: ignore[arg-type]
        for one in before
    ]


def test_files_that_have_rows_are_left_alone(node: ReceivingNode) -> None:
    assert receipts.rebuild(node.store, node.database) == 0


def test_a_damaged_file_is_set_aside_and_the_others_are_read(
    node: ReceivingNode, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = newest_unchanged(node.store)
    damaged.write_bytes(damaged.read_bytes()[:-50])
    count, _ = rebuilt(node, tmp_path / "new")
    assert count == 3
    assert not damaged.exists()
    assert damaged.with_name(damaged.name + ".damaged").exists()
    assert any("damaged" in message for message in caplog.messages)
    assert len(list(node.store.image_paths())) == 3


def newest_unchanged(store: FileStore) -> Path:
    files = [store.path_of(path) for path in store.image_paths()]
    return max(
        (file for file in files if b"changed" not in file.read_bytes()),
        key=lambda file: file.stat().st_mtime_ns,
    )


def test_a_receipt_and_its_rebuilt_row_agree_on_the_digest(node: ReceivingNode) -> None:
    for path in node.store.image_paths():
        kept = part10.parse(node.store.read(path))
        digest = part10.content_sha256(kept.encoded, kept.transfer_syntax_uid)
        assert path.endswith(f"/{digest}.dcm")


def test_no_thread_is_left_behind(database: Database) -> None:
    rows = Receipts(database)
    rows.start()
    rows.stop()
    assert "receipts" not in {thread.name for thread in threading.enumerate()}

"""Rows in batches, and rows made again from the files: with a real database and real files."""

import dataclasses
import errno
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import builders
from agent.dicom import part10, recovery
from agent.dicom.receipts import Receipts
from agent.tidying import Tidying
from reception import (
    ReceivingNode,
    association_to,
    encoded,
    migrated_database,
    receiving_node,
    store_dataset,
)
from running import wait_until
from storage import studies
from storage.database import Database
from storage.enums import Priority
from storage.files import FileStore
from storage.records import Instance, SeriesUid, SopUid, StudyKey, StudyUid

STUDY = StudyUid("1.2.3")
KEY = StudyKey(f"{STUDY}#1")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = migrated_database(tmp_path)
    yield database
    database.close()


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files", reserve_bytes=0)


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


def test_everything_added_is_in_the_database_after_a_flush(
    database: Database, store: FileStore
) -> None:
    rows = Receipts(database, store)
    rows.start()
    added = [instance(number) for number in range(100)]
    for one in added:
        rows.add(one)
    assert rows.flush()
    assert recorded(database) == {one.sop_uid for one in added}
    rows.stop()


def test_rows_come_without_a_flush_too(database: Database, store: FileStore) -> None:
    rows = Receipts(database, store, flush_seconds=0.01)
    rows.start()
    rows.add(instance(1))
    deadline = time.monotonic() + 10
    while rows.waiting_studies() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert recorded(database) == {"1.2.3.4.1"}
    rows.stop()


def test_stopping_commits_what_waits(database: Database, store: FileStore) -> None:
    rows = Receipts(database, store, flush_seconds=60)
    rows.start()
    rows.add(instance(1))
    rows.stop()
    assert recorded(database) == {"1.2.3.4.1"}


def test_nothing_is_lost_while_the_database_is_away(tmp_path: Path, store: FileStore) -> None:
    """A folder in the place of the file stands for any database that does not answer."""
    database = migrated_database(tmp_path)
    file, away = tmp_path / "node.sqlite", tmp_path / "away.sqlite"
    database.close()
    file.replace(away)
    file.mkdir()  # SQLite cannot open a folder
    rows = Receipts(database, store)
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
    database: Database, store: FileStore, caplog: pytest.LogCaptureFixture
) -> None:
    rows = Receipts(database, store, flush_seconds=60)
    impossible = dataclasses.replace(instance(2), sop_class_uid=None)  # type: ignore[arg-type]
    rows.start()
    for one in (instance(1), impossible, instance(3)):
        rows.add(one)
    assert rows.flush(timeout_seconds=10)
    assert recorded(database) == {"1.2.3.4.1", "1.2.3.4.3"}
    assert "An image has no row; its file is kept" in caplog.messages
    rows.stop()


def kept_images(store: FileStore, numbers: range, *, study_uid: str = "") -> list[Instance]:
    """Images that lie in the store, as the listener hands them over."""
    kept = []
    for image in builders.flair_series(slices=len(numbers)):
        image.StudyInstanceUID = study_uid or image.StudyInstanceUID
        content = encoded(image)
        syntax = str(image.file_meta.TransferSyntaxUID)
        digest = part10.content_sha256(memoryview(content), syntax)
        header = part10.file_header(
            sop_class_uid=image.SOPClassUID,
            sop_uid=image.SOPInstanceUID,
            transfer_syntax_uid=syntax,
            source_ae="MODALITY",
        )
        stored, _ = store.keep_image(image.StudyInstanceUID, digest, [header, content])
        kept.append(
            dataclasses.replace(
                instance(1),
                study_uid=image.StudyInstanceUID,
                series_uid=image.SeriesInstanceUID,
                sop_uid=image.SOPInstanceUID,
                path=stored,
                content_sha256=digest,
            )
        )
    return kept


def test_the_queue_stays_bounded_while_the_database_is_locked_and_no_row_is_lost(
    database: Database, store: FileStore, caplog: pytest.LogCaptureFixture
) -> None:
    """What finds no place in the queue gets its row from its file; until then its study is open."""
    rows = Receipts(database, store, maximum_waiting=3, patience_seconds=0.05)
    images = kept_images(store, range(12))
    with database.begin():  # holds the only writer's place
        rows.start()
        begun = time.monotonic()
        for one in images:
            rows.add(one)
        assert time.monotonic() - begun < 5
        assert len(rows._waiting) == 3
        assert rows.waiting_count == 12
        assert rows.waiting_studies() == {images[0].study_uid}
    assert rows.flush()
    assert rows.waiting_count == 0
    assert rows.waiting_studies() == frozenset()
    with database.read() as session:
        found = studies.instances_of(session, KEY_OF_BUILDERS)
    assert {one.sop_uid for one in found} == {one.sop_uid for one in images}
    assert [one.action for one in caplog.records].count("receipts_full") == 1  # type: ignore[attr-defined]
    later = instance(99)
    rows.add(later)  # there is room in the queue again
    assert rows.flush()
    assert recorded(database) == {later.sop_uid}
    rows.stop()


def test_of_two_contents_the_later_one_holds_though_the_queue_was_full(
    database: Database, store: FileStore
) -> None:
    first, *others = kept_images(store, range(3))
    rows = Receipts(database, store, maximum_waiting=1, patience_seconds=0.01)
    changed = builders.flair_series(slices=3)[0]
    changed.SeriesDescription = "changed"
    content = encoded(changed)
    digest = part10.content_sha256(memoryview(content), str(changed.file_meta.TransferSyntaxUID))
    header = store.read(first.path)[: -len(encoded(builders.flair_series(slices=3)[0]))]
    with database.begin():
        rows.start()
        for one in (*others, first):
            rows.add(one)
        kept, _ = store.keep_image(first.study_uid, digest, [header, content])
        rows.add(dataclasses.replace(first, path=kept, content_sha256=digest))
    assert rows.flush()
    with database.read() as session:
        found = studies.instances_of(session, KEY_OF_BUILDERS)
    assert {one.path for one in found if one.sop_uid == first.sop_uid} == {kept}
    rows.stop()


def test_an_unreadable_file_keeps_no_other_from_its_row(
    database: Database, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, *good = kept_images(store, range(3))
    file = store.path_of(bad.path)
    read = Path.read_bytes

    def broken(path: Path) -> bytes:
        if path == file:
            raise OSError(errno.EIO, "Input/output error")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", broken)
    assert recovery.rebuild(store, database) == len(good)


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
    count = recovery.rebuild(node.store, database)
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
    assert recovery.rebuild(node.store, node.database) == 0


def in_two_studies(store: FileStore) -> tuple[str, str]:
    """The paths of two kept images."""
    one, other = (kept_images(store, range(1), study_uid=uid)[0] for uid in ("1.2.1", "1.2.2"))
    return one.path, other.path


def with_row(database: Database, *paths: str) -> set[str]:
    with database.read() as session:
        return set(studies.recorded_paths(session, paths))


def age(store: FileStore, path: str, *, seconds: float) -> None:
    folder = store.path_of(path).parent
    changed_at = folder.stat().st_mtime - seconds
    os.utime(folder, (changed_at, changed_at))


def test_a_start_looks_at_the_newest_studies_and_then_at_the_others_in_the_background(
    database: Database, store: FileStore
) -> None:
    old, new = in_two_studies(store)
    age(store, old, seconds=recovery.RECENT_SECONDS + 60)
    assert recovery.rebuild_recent(store, database) == 1
    assert with_row(database, old, new) == {new}
    tidying = Tidying(store, database)
    tidying.start()
    wait_until(lambda: len(with_row(database, old, new)) == 2, timeout_seconds=10, what="the row")
    tidying.stop()


def test_a_node_that_was_off_for_long_still_looks_at_what_came_last(
    database: Database, store: FileStore
) -> None:
    paths = in_two_studies(store)
    for path in paths:
        age(store, path, seconds=1e8)
    assert recovery.rebuild_recent(store, database) == 2


def test_rows_of_one_study_are_made_without_looking_at_others(
    database: Database, store: FileStore
) -> None:
    one, other = in_two_studies(store)
    folders = [store.image_folder("1.2.1"), store.image_folder("1.2.3")]
    assert recovery.rebuild(store, database, folders=folders) == 1
    assert with_row(database, one, other) == {one}


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


def test_no_thread_is_left_behind(database: Database, store: FileStore) -> None:
    rows = Receipts(database, store)
    rows.start()
    rows.stop()
    assert "receipts" not in {thread.name for thread in threading.enumerate()}

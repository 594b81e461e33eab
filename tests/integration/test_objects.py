"""Files in a bucket of a real S3 server: kept for good, never torn, and what each fault does."""

import hashlib
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import buckets
import builders
from buckets import S3Server, faults_before
from reception import association_to, receiving_node, store_dataset
from storage import cache, places
from storage.bucket import Address, Bucket
from storage.errors import DamagedFile, NotFound, StorageError
from storage.objects import CACHE_FOLDER, ObjectStore
from storage.records import StudyKey
from storage.store import CLAIM_SECONDS, is_left_over

DATA: list[bytes | memoryview] = [b"header", memoryview(b"pixels")]
CONTENT = hashlib.sha256(b"pixels").hexdigest()
UID = "1.2.840.1"
KEY = StudyKey(f"{UID}#2")
MB = 1_000_000


@pytest.fixture
def store(bucket: Bucket, tmp_path: Path) -> ObjectStore:
    return store_in(bucket, tmp_path)


def store_in(bucket: Bucket, folder: Path, *, cache_bytes: int = 100 * MB) -> ObjectStore:
    folder.mkdir(exist_ok=True)
    return ObjectStore(bucket, folder, cache_bytes=cache_bytes)


def copies(store: ObjectStore) -> list[Path]:
    return [path for path in (store.root / CACHE_FOLDER).rglob("*") if path.is_file()]


def test_an_image_is_kept_byte_for_byte_and_read_by_another_host(
    store: ObjectStore, bucket: Bucket, tmp_path: Path
) -> None:
    kept, new = store.keep_image(UID, CONTENT, DATA)
    elsewhere = store_in(bucket, tmp_path / "other")
    assert new
    assert elsewhere.path_of(kept).read_bytes() == b"headerpixels"
    assert list(elsewhere.image_paths()) == [kept]
    assert elsewhere.size_of(kept) == 12
    assert elsewhere.has_images(UID)
    assert not elsewhere.has_images("1.2.3")


def test_a_second_image_of_the_same_content_leaves_the_first(store: ObjectStore) -> None:
    kept, _ = store.keep_image(UID, CONTENT, DATA)
    again, new = store.keep_image(UID, CONTENT, [b"other!", b"pixels"])
    assert (again, new) == (kept, False)
    assert store.read(kept) == b"headerpixels"


def test_results_may_be_written_again_and_no_host_reads_an_old_copy(
    store: ObjectStore, bucket: Bucket, tmp_path: Path
) -> None:
    elsewhere = store_in(bucket, tmp_path / "other")
    kept = store.keep_result(KEY, "report.dcm", b"first")
    assert elsewhere.path_of(kept.path).read_bytes() == b"first"
    store.keep_result(KEY, "report.dcm", b"second")
    assert elsewhere.path_of(kept.path).read_bytes() == b"second"
    assert store.result_bytes(KEY) == len(b"second")
    store.remove_results(KEY)
    assert store.size_of(kept.path) == 0
    with pytest.raises(NotFound):
        store.read(kept.path)


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "images/../../x", "C:\\x"])
def test_no_path_leads_out_of_the_store(store: ObjectStore, path: str) -> None:
    with pytest.raises(StorageError):
        store.path_of(path)


def test_many_images_are_listed_over_several_pages(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.bucket.PAGE", 3)
    kept = {
        store.keep_image(UID, hashlib.sha256(bytes([n])).hexdigest(), [bytes([n])])[0]
        for n in range(10)
    }
    assert set(store.image_paths()) == kept
    assert [path.read_bytes() for path in store.paths_of(sorted(kept))] == [
        store.read(path) for path in sorted(kept)
    ]


def test_all_hosts_find_the_same_identity(
    store: ObjectStore, bucket: Bucket, tmp_path: Path
) -> None:
    assert store.identity() is None
    assert store.keep_identity("one") == "one"
    assert store_in(bucket, tmp_path / "other").keep_identity("two") == "one"
    assert store.identity() == "one"


def test_what_came_lately_is_not_removed_and_what_is_old_goes(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, _ = store.keep_image(UID, CONTENT, DATA)
    store.path_of(kept)
    store.remove_images(UID, [kept])
    assert store.weigh_images(UID, [kept]) is None
    assert store.size_of(kept) == 12
    later(monkeypatch, CLAIM_SECONDS + 60)
    assert store.weigh_images(UID, [kept]) == 12
    store.remove_images(UID, [kept])
    assert not store.has_images(UID)
    assert not copies(store)
    assert list(store.bucket.entries("removing")) == []


def test_a_file_that_came_again_after_its_removal_is_no_left_over(store: ObjectStore) -> None:
    kept, _ = store.keep_image(UID, CONTENT, DATA)
    now = datetime.now(UTC)
    assert not is_left_over(store, kept, None)
    assert not is_left_over(store, kept, now)
    assert is_left_over(store, kept, now + timedelta(seconds=CLAIM_SECONDS + 60))
    assert is_left_over(store, "images/none.dcm", now)


def test_an_image_that_comes_again_while_it_is_removed_is_not_answered_with_success(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it comes between the look and the deletion, it stays or its sender is told."""
    kept, _ = store.keep_image(UID, CONTENT, DATA)
    later(monkeypatch, CLAIM_SECONDS + 60)
    monkeypatch.setattr("storage.objects.REMOVING_SECONDS", 2 * CLAIM_SECONDS)
    delete = store.bucket.delete
    answers: list[str] = []

    def arrives_first(*names: str) -> None:
        if kept in names:
            with pytest.raises(StorageError, match="send it again"):
                store.keep_image(UID, CONTENT, DATA)
            answers.extend(names)
        delete(*names)

    monkeypatch.setattr(store.bucket, "delete", arrives_first)
    store.remove_images(UID, [kept])
    assert answers == [kept]
    assert store.keep_image(UID, CONTENT, DATA)[1]
    assert store.read(kept) == b"headerpixels"


def test_an_old_image_that_comes_again_is_spared(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.keep_image(UID, CONTENT, DATA)
    later(monkeypatch, CLAIM_SECONDS / 2 + 60)
    before = store.came_at(places.of_image(UID, CONTENT))
    time.sleep(1.1)  # the server tells whole seconds
    store.keep_image(UID, CONTENT, DATA)
    after = store.came_at(places.of_image(UID, CONTENT))
    assert before is not None
    assert after is not None
    assert after > before


def test_copies_stay_within_their_limit_and_the_oldest_go(
    store: ObjectStore, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = store_in(bucket, tmp_path / "small", cache_bytes=4000)
    monkeypatch.setattr(cache, "IN_USE_SECONDS", 0.0)
    kept = [
        store.keep_image(UID, hashlib.sha256(bytes([n])).hexdigest(), [bytes([n]) * 1000])[0]
        for n in range(10)
    ]
    for path in kept:
        small.path_of(path)
    assert {path.name for path in copies(small)} == {Path(path).name for path in kept[-4:]}


def test_copies_in_use_stay_whatever_the_limit(
    store: ObjectStore, bucket: Bucket, tmp_path: Path
) -> None:
    small = store_in(bucket, tmp_path / "small", cache_bytes=10)
    kept = [
        store.keep_image(UID, hashlib.sha256(bytes([n])).hexdigest(), [bytes([n]) * 1000])[0]
        for n in range(5)
    ]
    assert [path.read_bytes()[0] for path in small.paths_of(kept)] == [0, 1, 2, 3, 4]


def test_a_few_refusals_are_borne(
    shared_server: S3Server, bucket_address: Address, tmp_path: Path
) -> None:
    with faults_before(shared_server) as faults:
        store = store_in(Bucket(replace(bucket_address, endpoint=faults.endpoint)), tmp_path)
        faults.refuse = 2
        kept, new = store.keep_image(UID, CONTENT, DATA)
        assert new
        assert faults.refuse == 0
        assert store.read(kept) == b"headerpixels"


def test_a_lasting_refusal_is_an_error_that_tells_no_secret(
    shared_server: S3Server, bucket_address: Address, tmp_path: Path
) -> None:
    with faults_before(shared_server) as faults:
        store = store_in(Bucket(replace(bucket_address, endpoint=faults.endpoint)), tmp_path)
        faults.refuse = 1000
        with pytest.raises(StorageError, match="cannot be written") as told:
            store.keep_image(UID, CONTENT, DATA)
    assert buckets.SECRET not in str(told.value)
    assert buckets.SECRET not in repr(bucket_address)


@pytest.mark.parametrize("fault", ["cut", "spoil"])
def test_a_torn_download_is_never_served(
    shared_server: S3Server, bucket_address: Address, tmp_path: Path, fault: str
) -> None:
    with faults_before(shared_server) as faults:
        store = store_in(Bucket(replace(bucket_address, endpoint=faults.endpoint)), tmp_path)
        kept, _ = store.keep_image(UID, CONTENT, [b"header" * 1000, b"pixels" * 1000])
        setattr(faults, fault, 1000)
        with pytest.raises(StorageError) as told:
            store.path_of(kept)
        assert isinstance(told.value, DamagedFile) == (fault == "spoil")
        assert not copies(store)
        setattr(faults, fault, 0)
        assert len(store.path_of(kept).read_bytes()) == 12000


def test_a_server_that_is_away_makes_the_sender_try_again(tmp_path: Path) -> None:
    """0xA700 while it is away, Success once it is back: nothing else may be said."""
    first, second = builders.flair_series(slices=2, rows=16, columns=16, spacing_mm=(6, 3, 3))
    with buckets.s3_server() as server:
        server.make_bucket("node")
        files = store_in(Bucket(buckets.address(server.endpoint, "node")), tmp_path / "data")
        with (
            receiving_node(tmp_path, store_for_images=lambda _: files) as node,
            association_to(node.listener.port) as association,
        ):
            assert store_dataset(association, first) == 0x0000
            server.stop()
            assert store_dataset(association, second) == 0xA700
            server.start()
            server.make_bucket("node")
            assert store_dataset(association, second) == 0x0000
            assert len(list(files.image_paths())) == 1


def test_a_bucket_that_is_not_there_is_named(shared_server: S3Server, tmp_path: Path) -> None:
    store = store_in(Bucket(buckets.address(shared_server.endpoint, "nothing-here")), tmp_path)
    with pytest.raises(StorageError, match="s3://nothing-here/node"):
        store.keep_image(UID, CONTENT, DATA)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let this host's clock be ahead, so that what the bucket holds looks old."""
    real = time.time
    monkeypatch.setattr("storage.objects.time.time", lambda: real() + seconds)

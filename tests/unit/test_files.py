"""FileStore: files are whole or absent, named by us, and never push the disk to its end."""

import errno
import hashlib
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage.errors import NotFound, StorageError, StoreFull
from storage.files import FileStore
from storage.records import StudyKey

DATA: list[bytes | memoryview] = [b"header", memoryview(b"pixels")]
CONTENT = hashlib.sha256(b"pixels").hexdigest()
UID = "1.2.840.1"
KEY = StudyKey(f"{UID}#2")


@contextmanager
def no_file_larger_than(size_bytes: int) -> Iterator[None]:
    """The kernel breaks off any write beyond this size, as it does on a full disk."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "data", reserve_bytes=0)


def files_under(store: FileStore) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file()]


def test_an_image_is_kept_byte_for_byte_under_the_digest_of_its_content(store: FileStore) -> None:
    kept, new = store.keep_image(UID, CONTENT, DATA)
    folder = hashlib.sha256(UID.encode()).hexdigest()[:32]
    assert new
    assert kept.path == f"images/{folder}/{CONTENT}.dcm"
    assert store.read(kept.path) == b"headerpixels"
    assert kept.sha256 == hashlib.sha256(b"headerpixels").hexdigest()
    assert kept.size_bytes == len(b"headerpixels")


def test_a_second_image_of_the_same_content_writes_nothing(store: FileStore) -> None:
    """Another peer's file header differs; the first file stays."""
    first, _ = store.keep_image(UID, CONTENT, DATA)
    before = store.path_of(first.path).stat().st_ino
    second, new = store.keep_image(UID, CONTENT, [b"another header", b"pixels"])
    assert not new
    assert second == first
    assert store.path_of(first.path).stat().st_ino == before
    assert len(files_under(store)) == 1


def test_studies_do_not_share_files(store: FileStore) -> None:
    one, _ = store.keep_image("1.2.3", CONTENT, DATA)
    other, new = store.keep_image("1.2.4", CONTENT, DATA)
    assert new
    assert one.path != other.path


@pytest.mark.parametrize(
    "uid", ["../../etc", "/etc/passwd", "", "a\0b", "1.2/3", "\udc80", "ü" * 500]
)
def test_a_hostile_study_uid_stays_inside_the_store(store: FileStore, uid: str) -> None:
    kept, _ = store.keep_image(uid, CONTENT, DATA)
    assert store.path_of(kept.path).resolve().is_relative_to(store.root / "images")


@pytest.mark.parametrize("digest", ["", "../x", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_an_image_is_named_by_a_digest_only(store: FileStore, digest: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        store.keep_image(UID, digest, DATA)


def test_an_image_is_refused_before_it_touches_the_reserve(tmp_path: Path) -> None:
    store = FileStore(tmp_path, reserve_bytes=2**60)
    with pytest.raises(StoreFull, match="reserve"):
        store.keep_image(UID, CONTENT, DATA)
    assert files_under(store) == []


def test_results_may_use_the_reserve(tmp_path: Path) -> None:
    """A study that was accepted can still be answered."""
    store = FileStore(tmp_path, reserve_bytes=2**60)
    assert store.keep_result(KEY, "report.dcm", b"x").size_bytes == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes to set")
def test_a_write_that_breaks_off_leaves_no_half_file(store: FileStore) -> None:
    large: list[bytes | memoryview] = [b"fits", bytes(1_000_000)]
    with no_file_larger_than(100_000), pytest.raises(StoreFull, match="make room"):
        store.keep_image(UID, CONTENT, large)
    assert files_under(store) == []
    _, new = store.keep_image(UID, CONTENT, large)
    assert new


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which file a descriptor is")
def test_the_file_is_durable_before_its_name_and_the_name_before_the_answer(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watches fsync, which still happens; power loss itself cannot be had in a test."""
    seen: list[tuple[str, bool]] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        seen.append((path.relative_to(store.root).as_posix(), list(store.image_paths()) != []))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    kept, _ = store.keep_image(UID, CONTENT, DATA)
    folder = kept.path.rpartition("/")[0]
    (part, _), (after, named) = seen[-2:]
    assert part.startswith(kept.path)
    assert part.endswith(".part")
    assert [path for path, _ in seen[:-2]] == ["images", "."]
    assert [present for _, present in seen[:-1]] == [False] * 3
    assert (after, named) == (folder, True)


class BrokenSync:
    """`os.fsync` that reports a failing disk for files or for folders."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: Callable[[int], bool]) -> None:
        self._fsync, self._kind, self.broken = os.fsync, kind, True
        monkeypatch.setattr(os, "fsync", self._sync)

    def _sync(self, descriptor: int) -> None:
        if self.broken and self._kind(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        self._fsync(descriptor)


@pytest.mark.parametrize("kind", [stat.S_ISREG, stat.S_ISDIR], ids=["file", "folder"])
def test_a_failed_fsync_is_a_failed_write_and_leaves_nothing(
    store: FileStore, monkeypatch: pytest.MonkeyPatch, kind: Callable[[int], bool]
) -> None:
    """After it the kernel may call pages clean that it has dropped: a second fsync says nothing."""
    store.keep_image(UID, "0" * 64, DATA)  # the folder is there
    sync = BrokenSync(monkeypatch, kind)
    with pytest.raises(StorageError, match="Input/output"):
        store.keep_image(UID, CONTENT, DATA)
    assert [path.stem for path in files_under(store)] == ["0" * 64]
    sync.broken = False
    assert store.keep_image(UID, CONTENT, DATA)[1]


def test_a_file_that_could_not_even_be_removed_is_not_trusted(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.keep_image(UID, "0" * 64, DATA)
    sync = BrokenSync(monkeypatch, stat.S_ISDIR)
    with monkeypatch.context() as stuck:
        stuck.setattr(Path, "unlink", _refuse)
        with pytest.raises(StorageError, match="Input/output"):
            store.keep_image(UID, CONTENT, DATA)
    sync.broken = False
    assert len(files_under(store)) == 2
    assert store.keep_image(UID, CONTENT, DATA)[1]
    assert not store.keep_image(UID, CONTENT, DATA)[1]


def _refuse(path: Path, missing_ok: bool = False) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def test_a_half_file_that_cannot_be_removed_hides_no_error(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as stuck, no_file_larger_than(100_000):
        stuck.setattr(Path, "unlink", _refuse)
        with pytest.raises(StoreFull):
            store.keep_image(UID, CONTENT, [bytes(1_000_000)])
    assert len(files_under(store)) == 1
    assert store.sweep(older_than_seconds=0) == 1


def test_a_duplicate_is_not_acknowledged_where_its_folder_cannot_be_synced(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.keep_image(UID, CONTENT, DATA)
    BrokenSync(monkeypatch, stat.S_ISDIR)
    with pytest.raises(StorageError, match="Input/output"):
        store.keep_image(UID, CONTENT, DATA)
    assert len(files_under(store)) == 1


def test_the_watermark_holds_where_it_keeps_more_than_the_reserve(tmp_path: Path) -> None:
    used = shutil.disk_usage(tmp_path)
    percent = 100 * used.used / (used.used + used.free)
    above = FileStore(tmp_path, reserve_bytes=0, watermark_percent=max(percent - 1, 0.01))
    below = FileStore(tmp_path, reserve_bytes=0, watermark_percent=min(percent + 1, 99.9))
    with pytest.raises(StoreFull, match="reserve"):
        above.keep_image(UID, CONTENT, DATA)
    assert below.keep_image(UID, CONTENT, DATA)[1]
    assert above.room().free_bytes < above.room().kept_bytes < above.room().low_bytes
    assert below.room().kept_bytes < below.room().free_bytes < below.room().low_bytes


def test_without_watermark_the_reserve_alone_decides(tmp_path: Path) -> None:
    room = FileStore(tmp_path, reserve_bytes=1000).room()
    assert (room.kept_bytes, room.low_bytes) == (1000, 2000)


def test_an_error_of_the_system_is_a_storage_error_with_the_path(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images").write_text("in the way")
    store = FileStore(tmp_path / "data", reserve_bytes=0)
    with pytest.raises(StorageError, match="images"):
        store.keep_image(UID, CONTENT, DATA)


def test_a_result_takes_the_place_of_the_older_one(store: FileStore) -> None:
    first = store.keep_result(KEY, "report.dcm", b"first")
    second = store.keep_result(KEY, "report.dcm", b"second")
    assert first.path == second.path
    assert first.path.startswith("results/")
    assert first.path.endswith("/2/report.dcm")
    assert store.read(second.path) == b"second"
    assert len(files_under(store)) == 1


def test_revisions_keep_their_own_results(store: FileStore) -> None:
    keys = [StudyKey(f"{UID}#1"), StudyKey(f"{UID}#2")]
    assert len({store.keep_result(key, "report.dcm", b"x").path for key in keys}) == 2


@pytest.mark.parametrize("key", ["", UID, f"{UID}#", f"{UID}#../x"])
def test_a_result_belongs_to_a_revision(store: FileStore, key: str) -> None:
    with pytest.raises(ValueError, match="study key"):
        store.keep_result(StudyKey(key), "report.dcm", b"x")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a\\b", "a b", "x" * 200, "C:x"])
def test_a_result_has_a_plain_name(store: FileStore, name: str) -> None:
    with pytest.raises(ValueError, match="plain file name"):
        store.keep_result(KEY, name, b"x")


@pytest.mark.parametrize(
    "path", ["", "../x", "images/../../x", "/etc/passwd", "C:/x", "images\\x", "a\0b", "."]
)
def test_no_path_leads_out_of_the_store(store: FileStore, path: str) -> None:
    with pytest.raises(StorageError):
        store.read(path)


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")
def test_no_link_leads_out_of_the_store(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (store.root / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(StorageError, match="out of the store"):
        store.path_of("link")


def test_a_missing_file_is_named(store: FileStore) -> None:
    with pytest.raises(NotFound, match=r"images/x\.dcm"):
        store.read("images/x.dcm")


def test_every_kept_image_is_listed_and_nothing_else(store: FileStore) -> None:
    assert list(store.image_paths()) == []
    kept = {store.keep_image(uid, CONTENT, DATA)[0].path for uid in ("1.2", "1.3")}
    store.keep_result(KEY, "report.dcm", b"x")
    (store.root / "images" / "stray.txt").write_text("x")
    (store.path_of(min(kept)).parent / "x.dcm.1.part").write_text("x")
    assert set(store.image_paths()) == kept


def test_sweeping_removes_what_a_crash_left_and_spares_a_running_write(store: FileStore) -> None:
    kept, _ = store.keep_image(UID, CONTENT, DATA)
    folder = store.path_of(kept.path).parent
    leftover, running = folder / "x.dcm.1.part", folder / "y.dcm.2.part"
    for part in (leftover, running):
        part.write_bytes(b"half")
    os.utime(leftover, (1, 1))
    assert store.sweep() == 1
    assert not leftover.exists()
    assert running.exists()
    assert store.sweep(older_than_seconds=0) == 1
    assert files_under(store) == [store.path_of(kept.path)]


def test_a_folder_that_was_removed_is_made_again(store: FileStore) -> None:
    kept, _ = store.keep_image(UID, CONTENT, DATA)
    store.path_of(kept.path).unlink()
    store.path_of(kept.path).parent.rmdir()
    assert store.keep_image(UID, CONTENT, DATA)[1]


def test_free_room_is_that_of_the_disk(store: FileStore) -> None:
    assert 0 < store.room().free_bytes < 2**60

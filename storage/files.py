"""Keeps files so that they survive power loss, and refuses images before the disk is full."""

import contextlib
import errno
import os
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from storage import durable, places, room
from storage.durable import PART
from storage.errors import NotFound, StorageError, StoreFull
from storage.records import StoredFile, StudyKey
from storage.room import NO_WATERMARK, Room
from storage.store import CLAIM_SECONDS, described, recent

BYTES_PER_GB = 1_000_000_000

RESERVE_BYTES = 5 * BYTES_PER_GB  # left free by images, so that results of accepted studies fit
LEFTOVER_SECONDS = 600.0  # a temp file this old belongs to no running write
LOCKS = 64
REMEMBERED_FOLDERS = 10_000
OPEN_RESULTS = 32  # result files that wait for one another

_DAMAGED_SUFFIX = ".damaged"
_IDENTITY = "installation"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FileStore:
    """Files under one root; a `Store`. Hosts may share the root, as one folder of a server."""

    def __init__(
        self,
        root: Path,
        *,
        reserve_bytes: int = RESERVE_BYTES,
        watermark_percent: float = NO_WATERMARK,
    ) -> None:
        self.root = root.resolve()
        self.reserve_bytes = reserve_bytes
        self.watermark_percent = watermark_percent
        self._durable_folders: set[Path] = set()
        self._doubtful: set[Path] = set()  # there, but their write failed
        self._locks = [threading.Lock() for _ in range(LOCKS)]
        self._syncs = durable.FolderSyncs()
        self._make_folder(self.root)

    def keep_image(
        self, study_uid: str, content_sha256: str, parts: Sequence[bytes | memoryview]
    ) -> tuple[str, bool]:
        """Keep a received image under the digest of its content; its path, and whether it is new.

        When it returns, the file survives power loss. Raises StoreFull before the reserve or the
        watermark is touched, and StorageError when the disk fails. A file of that content that is
        here already is left as it is, but for its time: retention spares what just came again.
        """
        relative = places.of_image(study_uid, content_sha256)
        # One at a time: who finds a file must not trust it while its writer may still fail.
        with self._locks[int(content_sha256[:8], 16) % LOCKS]:
            self._make_folder((self.root / relative).parent)
            if self._is_kept(relative):
                return relative, False
            self._check_room(sum(len(part) for part in parts))
            self._write(relative, parts)
            return relative, True

    def keep_result(self, key: StudyKey, name: str, data: bytes) -> StoredFile:
        """Keep a result file of a revision, in the place of an older one of that name."""
        relative = self.result_path(key, name)
        self._make_folder((self.root / relative).parent)
        self._write(relative, [data])
        return described(relative, data)

    @contextmanager
    def keeping_results(self, key: StudyKey) -> Iterator[Callable[[str, bytes], StoredFile]]:
        """Give a `keep_result` whose files survive power loss when the block has ended, not before.

        Many of them cost little more than one.
        """
        group = durable.Group(self._result_folder(key))

        def keep(name: str, data: bytes) -> StoredFile:
            relative = self.result_path(key, name)
            self._add(group, self.root / relative, data)
            return described(relative, data)

        try:
            yield keep
            self._finish(group)
        finally:
            group.discard()

    def result_path(self, key: StudyKey, name: str) -> str:
        """Where `keep_result` puts a file of that name."""
        return places.of_result(key, name)

    def identity(self) -> str | None:
        """The identity of this store, None where it has none yet."""
        file = self.root / _IDENTITY
        return file.read_text(encoding="ascii").strip() if file.exists() else None

    def keep_identity(self, candidate: str) -> str:
        """The identity of this store; the candidate becomes it where there is none."""
        file = self.root / _IDENTITY
        if not file.exists():
            own = file.with_name(f"{_IDENTITY}.{uuid.uuid4().hex}{PART}")
            durable.write(own, [f"{candidate}\n".encode("ascii")])
            _put_first(own, file)
            durable.sync_folder(self.root)
        return file.read_text(encoding="ascii").strip()

    def path_of(self, relative: str) -> Path:
        """Where a stored path lies on this machine; refuses to leave the root."""
        path = self.root.joinpath(*places.parts_of(relative))
        if not path.resolve().is_relative_to(self.root):
            raise StorageError(f"{relative!r} leads out of the store.")
        return path

    def paths_of(self, relatives: Iterable[str]) -> list[Path]:
        """The same for many files, in that order."""
        return [self.path_of(relative) for relative in relatives]

    def read(self, relative: str) -> bytes:
        """The bytes of a stored file."""
        try:
            return self.path_of(relative).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise NotFound(f"The store has no file {relative}; was it removed by hand?") from error

    def image_paths(self, folders: Iterable[str] | None = None) -> Iterator[str]:
        """Every image that is kept, or those of some folders, folder by folder; in no order."""
        for folder in self.image_folders() if folders is None else folders:
            inside = f"{places.IMAGES}/{folder}"
            with contextlib.suppress(FileNotFoundError), os.scandir(self.root / inside) as files:
                for file in files:
                    if file.name.endswith(".dcm"):
                        yield f"{inside}/{file.name}"

    def image_folders(self, *, within_seconds: float | None = None) -> Iterator[str]:
        """The folders of studies, or of those that took a file so shortly before the newest one."""
        if within_seconds is None:
            return (name for name, _ in self._folders())
        return recent(dict(self._folders()), within_seconds)

    def image_folder(self, study_uid: str) -> str:
        """The folder of a study's images, whether it is here or not."""
        return places.folder_of(study_uid)

    def _folders(self) -> Iterator[tuple[str, float]]:
        images = self.root / places.IMAGES
        if not images.is_dir():
            return
        with os.scandir(images) as folders:
            for folder in folders:
                if folder.is_dir():
                    yield folder.name, folder.stat().st_mtime

    def came_at(self, relative: str) -> datetime | None:
        """When an image came, or came again; None where it is not here."""
        try:
            return datetime.fromtimestamp(self.path_of(relative).stat().st_mtime, UTC)
        except OSError:
            return None

    def came_lately(self, relative: str) -> bool:
        """Whether an image was received or received again within `CLAIM_SECONDS`."""
        came_at = self.came_at(relative)
        return came_at is not None and came_at.timestamp() > time.time() - CLAIM_SECONDS

    def size_of(self, relative: str) -> int:
        """How many bytes a stored file takes; 0 where it is not here."""
        try:
            return self.path_of(relative).stat().st_size
        except OSError:
            return 0

    def set_aside(self, relative: str) -> None:
        """Rename a damaged image, so that it is looked at by a person and not read again."""
        file = self.path_of(relative)
        file.replace(file.with_name(file.name + _DAMAGED_SUFFIX))

    def weigh_images(self, _study_uid: str, relatives: Collection[str]) -> int | None:
        """How many bytes images of a study take; None where one of them came lately."""
        if any(self.came_lately(relative) for relative in relatives):
            return None
        return sum(self.size_of(relative) for relative in relatives)

    def remove_images(self, study_uid: str, relatives: Collection[str]) -> None:
        """Remove images of a study, but for those that came lately, and its folder once empty."""
        for relative in relatives:
            self._remove_image(relative)
        _remove_empty(self.root / places.of_images(study_uid))

    def _remove_image(self, relative: str) -> None:
        """Remove an image, unless it came lately.

        It is renamed and looked at again, because `keep_image` may find it at this moment.
        """
        if self.came_lately(relative):
            return
        file = self.path_of(relative)
        aside = file.with_name(f"{file.name}.{uuid.uuid4().hex}{PART}")
        with contextlib.suppress(FileNotFoundError):
            file.replace(aside)
            if aside.stat().st_mtime > time.time() - CLAIM_SECONDS:
                aside.replace(file)
            aside.unlink(missing_ok=True)

    def result_bytes(self, key: StudyKey) -> int:
        """How many bytes the results of a revision take."""
        return sum(path.stat().st_size for path in self._result_files(key))

    def remove_results(self, key: StudyKey) -> None:
        """Remove what `keep_result` kept of a revision."""
        for path in self._result_files(key):
            path.unlink(missing_ok=True)
        folder = self._result_folder(key)
        _remove_empty(folder)
        _remove_empty(folder.parent)

    def has_images(self, study_uid: str) -> bool:
        """Whether a study has a folder of images."""
        return (self.root / places.of_images(study_uid)).is_dir()

    def sweep(
        self,
        *,
        older_than_seconds: float = LEFTOVER_SECONDS,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> int:
        """Remove what writes that never ended have left; says how many files.

        Younger ones stay: another process of this node may be writing them. `may_go_on` is asked
        at every folder.
        """
        oldest = time.time() - older_than_seconds
        removed = 0
        for folder, _, names in os.walk(self.root):
            if not may_go_on():
                break
            for part in (Path(folder) / name for name in names if name.endswith(PART)):
                with contextlib.suppress(OSError):
                    if part.stat().st_mtime <= oldest:
                        part.unlink()
                        removed += 1
        return removed

    def forget_copies(self) -> None:
        """Nothing here is a copy."""

    def room(self, *, more_free_bytes: int = 0) -> Room:
        """What is left on the store's disk, or would be if so much went.

        Raises StorageError where that cannot be asked.
        """
        try:
            return room.measure(
                self.root,
                reserve_bytes=self.reserve_bytes,
                watermark_percent=self.watermark_percent,
                more_free_bytes=more_free_bytes,
            )
        except OSError as error:
            raise _named(error, self.root) from error

    def _result_folder(self, key: StudyKey) -> Path:
        return self.root / places.of_results(key)

    def _result_files(self, key: StudyKey) -> list[Path]:
        return [path for path in self._result_folder(key).glob("*") if path.is_file()]

    def _check_room(self, size_bytes: int) -> None:
        left = self.room()
        if left.free_bytes < left.kept_bytes + size_bytes:
            raise StoreFull(
                f"Only {left.free_bytes / 1e9:.2f} GB are free under {self.root}, and "
                f"{left.kept_bytes / 1e9:.2f} GB are kept in reserve; make room."
            )

    def _is_kept(self, relative: str) -> bool:
        """Whether the file is here, whole and durable."""
        target = self.root / relative
        if target in self._doubtful:
            return False
        try:
            os.utime(target)
            # Another process may have renamed it and not yet reached its fsync of the folder.
            self._syncs.sync(target.parent)
        except FileNotFoundError:  # never here, or retention took it at this moment
            return False
        except OSError as error:
            raise _named(error, target) from error
        return True

    def _write(self, relative: str, parts: Sequence[bytes | memoryview]) -> None:
        target = self.root / relative
        try:
            self._write_file(target, parts)
        except OSError as error:
            if _is_there(target):
                self._doubtful.add(target)
            raise _named(error, target) from error
        self._doubtful.discard(target)

    def _write_file(self, target: Path, parts: Sequence[bytes | memoryview]) -> None:
        try:
            durable.write(target, parts, sync=self._syncs.sync)
        except FileNotFoundError:  # retention removed the empty folder at this moment
            durable.make_folder(target.parent, within=self.root)
            durable.write(target, parts, sync=self._syncs.sync)

    def _add(self, group: durable.Group, target: Path, data: bytes) -> None:
        if len(group) >= OPEN_RESULTS:
            self._finish(group)
        self._make_folder(target.parent)
        try:
            try:
                group.add(target.name, data)
            except FileNotFoundError:  # retention removed the empty folder at this moment
                durable.make_folder(target.parent, within=self.root)
                group.add(target.name, data)
        except OSError as error:
            raise _named(error, target) from error

    def _finish(self, group: durable.Group) -> None:
        try:
            group.finish()
        except OSError as error:
            raise _named(error, group.folder / "results") from error

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and see to it that its entry survives, whichever process made it."""
        if folder in self._durable_folders and folder.is_dir():
            return
        try:
            durable.make_folder(folder, within=self.root)
        except OSError as error:
            raise _named(error, folder) from error
        if len(self._durable_folders) >= REMEMBERED_FOLDERS:
            self._durable_folders.clear()
        self._durable_folders.add(folder)


def _put_first(own: Path, target: Path) -> None:
    """Give a file its name unless another process was first."""
    try:
        target.hardlink_to(own)
    except FileExistsError:
        pass
    except OSError:  # a disk that knows no links
        own.replace(target)
    finally:
        own.unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _is_there(file: Path) -> bool:
    try:
        file.lstat()
    except OSError:
        return False
    return True


def _named(error: OSError, path: Path) -> StorageError:
    if error.errno in _FULL:
        return StoreFull(f"The disk that holds {path.parent} is full; make room.")
    return StorageError(f"{path} cannot be written: {error.strerror}.")

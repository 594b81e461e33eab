"""Keeps files so that they survive power loss, and refuses images before the disk is full."""

import contextlib
import errno
import hashlib
import os
import re
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath

from storage import durable, room
from storage.durable import PART
from storage.errors import NotFound, StorageError, StoreFull
from storage.records import StoredFile, StudyKey
from storage.room import NO_WATERMARK, Room

BYTES_PER_GB = 1_000_000_000

RESERVE_BYTES = 5 * BYTES_PER_GB  # left free by images, so that results of accepted studies fit
LEFTOVER_SECONDS = 600.0  # a temp file this old belongs to no running write
CLAIM_SECONDS = 3600.0  # an image that came within the last hour may wait for its row
LOCKS = 64
REMEMBERED_FOLDERS = 10_000

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FileStore:
    """Files under one root. Every path it gives or takes is relative, with forward slashes."""

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
        self._folders = durable.FolderSyncs()
        self._make_folder(self.root)

    def keep_image(
        self, study_uid: str, content_sha256: str, parts: Sequence[bytes | memoryview]
    ) -> tuple[str, bool]:
        """Keep a received image under the digest of its content; its path, and whether it is new.

        When it returns, the file survives power loss. Raises StoreFull before the reserve or the
        watermark is touched, and StorageError when the disk fails. A file of that content that is
        here already is left as it is, but for its time: retention spares what just came again.
        """
        if not _SHA256.fullmatch(content_sha256):
            raise ValueError(
                "An image is kept under the SHA-256 of its content, in lower-case hex."
            )
        relative = f"images/{_folder_of(study_uid)}/{content_sha256}.dcm"
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
        return StoredFile(
            path=relative, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data)
        )

    def result_path(self, key: StudyKey, name: str) -> str:
        """Where `keep_result` puts a file of that name."""
        if not _PLAIN_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no plain file name; use letters, digits, '.', '_', '-'.")
        study_uid, _, revision = key.rpartition("#")
        if not revision.isdecimal():
            raise ValueError(f"{key!r} is no study key; it should read <study UID>#<revision>.")
        return f"results/{_folder_of(study_uid)}/{int(revision)}/{name}"

    def path_of(self, relative: str) -> Path:
        """Where a stored path lies on this machine; refuses to leave the root."""
        parts = PurePosixPath(relative).parts
        if (
            not parts
            or relative.startswith("/")
            or ".." in parts
            or re.search(r"[\\:\0]", relative)
        ):
            raise StorageError(f"{relative!r} is no path inside the store.")
        path = self.root.joinpath(*parts)
        if not path.resolve().is_relative_to(self.root):
            raise StorageError(f"{relative!r} leads out of the store.")
        return path

    def read(self, relative: str) -> bytes:
        """The bytes of a stored file."""
        try:
            return self.path_of(relative).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise NotFound(f"The store has no file {relative}; was it removed by hand?") from error

    def image_paths(self) -> Iterator[str]:
        """Every image that is kept, folder by folder, in no particular order."""
        images = self.root / "images"
        if not images.is_dir():
            return
        for folder in images.iterdir():
            if folder.is_dir():
                yield from (f"images/{folder.name}/{file.name}" for file in folder.glob("*.dcm"))

    def is_left_over(self, relative: str, removed_at: datetime | None) -> bool:
        """Whether a file is one that was noted as removed then, and not one that came again."""
        if removed_at is None:
            return False
        try:
            came_at = self.path_of(relative).stat().st_mtime
        except OSError:
            return True
        return came_at < removed_at.timestamp() - CLAIM_SECONDS

    def came_lately(self, relative: str) -> bool:
        """Whether an image was received or received again within `CLAIM_SECONDS`."""
        try:
            return self.path_of(relative).stat().st_mtime > time.time() - CLAIM_SECONDS
        except OSError:
            return False

    def size_of(self, relative: str) -> int:
        """How many bytes a stored file takes; 0 where it is not here."""
        try:
            return self.path_of(relative).stat().st_size
        except OSError:
            return 0

    def remove_image(self, relative: str) -> None:
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

    def remove_image_folder(self, study_uid: str) -> None:
        """Remove the folder of a study's images if nothing is left in it."""
        _remove_empty(self.root / "images" / _folder_of(study_uid))

    def has_images(self, study_uid: str) -> bool:
        """Whether a study has a folder of images."""
        return (self.root / "images" / _folder_of(study_uid)).is_dir()

    def sweep(self, *, older_than_seconds: float = LEFTOVER_SECONDS) -> int:
        """Remove what writes that never ended have left; says how many files.

        Younger ones stay: another process of this node may be writing them.
        """
        oldest = time.time() - older_than_seconds
        removed = 0
        for part in self.root.rglob(f"*{PART}"):
            with contextlib.suppress(OSError):
                if part.stat().st_mtime <= oldest:
                    part.unlink()
                    removed += 1
        return removed

    def free_bytes(self) -> int:
        """Room left on the store's disk, the reserve included."""
        return self.room().free_bytes

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
        return (self.root / self.result_path(key, "any")).parent

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
            self._folders.sync(target.parent)
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
            durable.write(target, parts, sync=self._folders.sync)
        except FileNotFoundError:  # retention removed the empty folder at this moment
            durable.make_folder(target.parent, within=self.root)
            durable.write(target, parts, sync=self._folders.sync)

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


def _folder_of(study_uid: str) -> str:
    """A folder's name for a study: nothing that came from the network ends up in a path."""
    return hashlib.sha256(study_uid.encode("utf-8", "replace")).hexdigest()[:32]


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

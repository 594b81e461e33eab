"""Keeps files so that they survive power loss: temp file, fsync, rename, fsync of the directory."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path, PurePosixPath

from storage.errors import NotFound, StorageError, StoreFull
from storage.records import StoredFile, StudyKey

BYTES_PER_GB = 1_000_000_000

RESERVE_BYTES = 2 * 1024**3  # left free by images, so that results of accepted studies still fit
LEFTOVER_SECONDS = 600.0  # a temp file this old belongs to no running write
PART = ".part"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FileStore:
    """Files under one root. Every path it gives or takes is relative, with forward slashes."""

    def __init__(self, root: Path, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        self.root = root.resolve()
        self.reserve_bytes = reserve_bytes
        self._durable_folders: set[Path] = set()
        self._make_folder(self.root)

    def keep_image(
        self, study_uid: str, content_sha256: str, parts: Sequence[bytes | memoryview]
    ) -> tuple[StoredFile, bool]:
        """Keep a received image under the digest of its content; says whether it is new here.

        When it returns, the file survives power loss. Raises StoreFull before the reserve is
        touched. A file of that content that is here already is left as it is.
        """
        if not _SHA256.fullmatch(content_sha256):
            raise ValueError(
                "An image is kept under the SHA-256 of its content, in lower-case hex."
            )
        relative = f"images/{_folder_of(study_uid)}/{content_sha256}.dcm"
        target = self.root / relative
        self._make_folder(target.parent)
        if target.exists():
            # Another thread may have renamed it and not yet reached its fsync of the folder.
            _sync_folder(target.parent)
            return self._described(relative), False
        self._check_reserve(sum(len(part) for part in parts))
        return self._write(relative, parts), True

    def keep_result(self, key: StudyKey, name: str, data: bytes) -> StoredFile:
        """Keep a result file of a revision, in the place of an older one of that name."""
        relative = self.result_path(key, name)
        self._make_folder((self.root / relative).parent)
        return self._write(relative, [data])

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

    def sweep(self, *, older_than_seconds: float = LEFTOVER_SECONDS) -> int:
        """Remove what writes that never ended have left; says how many files.

        Younger ones stay: another process of this node may be writing them.
        """
        oldest = time.time() - older_than_seconds
        removed = 0
        for part in self.root.rglob(f"*{PART}"):
            with contextlib.suppress(FileNotFoundError):
                if part.stat().st_mtime <= oldest:
                    part.unlink()
                    removed += 1
        return removed

    def free_bytes(self) -> int:
        """Room left on the store's disk, the reserve included."""
        return shutil.disk_usage(self.root).free

    def _check_reserve(self, size_bytes: int) -> None:
        free = self.free_bytes()
        if free < self.reserve_bytes + size_bytes:
            raise StoreFull(
                f"Only {free / 1e9:.2f} GB are free under {self.root}, and "
                f"{self.reserve_bytes / 1e9:.2f} GB are kept in reserve; make room."
            )

    def _described(self, relative: str) -> StoredFile:
        data = self.read(relative)
        return StoredFile(
            path=relative, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data)
        )

    def _write(self, relative: str, parts: Sequence[bytes | memoryview]) -> StoredFile:
        target = self.root / relative
        temporary = target.with_name(f"{target.name}.{uuid.uuid4().hex}{PART}")
        digest, size_bytes = hashlib.sha256(), 0
        try:
            with temporary.open("xb") as file:
                for part in parts:
                    size_bytes += file.write(part)
                    digest.update(part)
                file.flush()
                _sync(file.fileno())
            temporary.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            raise _named(error, target) from error
        finally:
            temporary.unlink(missing_ok=True)
        return StoredFile(path=relative, sha256=digest.hexdigest(), size_bytes=size_bytes)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and see to it that its entry survives, whichever process made it."""
        if folder in self._durable_folders and folder.is_dir():
            return
        there = self.root if folder != self.root else _nearest_existing(self.root.parent)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for made in takewhile(lambda path: path != there, [folder, *folder.parents]):
                _sync_folder(made.parent)
        except OSError as error:
            raise _named(error, folder) from error
        self._durable_folders.add(folder)


def _folder_of(study_uid: str) -> str:
    """A folder's name for a study: nothing that came from the network ends up in a path."""
    return hashlib.sha256(study_uid.encode("utf-8", "replace")).hexdigest()[:32]


def _nearest_existing(folder: Path) -> Path:
    return next(path for path in [folder, *folder.parents] if path.exists())


def _named(error: OSError, path: Path) -> StorageError:
    if error.errno in _FULL:
        return StoreFull(f"The disk that holds {path.parent} is full; make room.")
    return StorageError(f"{path} cannot be written: {error.strerror}.")


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":  # there os.fsync stops at the drive's cache
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":  # folders cannot be opened there; NTFS journals the rename
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

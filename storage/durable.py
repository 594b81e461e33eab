"""Writes that survive power loss: temp file, fsync, rename, fsync of the directory."""

import contextlib
import os
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

PART = ".part"
SYNCS_AT_ONCE = 8  # a file system writes its journal once for all that wait for it
_LOCKS = 64


class FolderSyncs:
    """Syncs of folders that threads share: one covers all who asked before it began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gathering: dict[Path, Future[None]] = {}  # asked for and not yet begun
        self._running = [threading.Lock() for _ in range(_LOCKS)]

    def sync(self, folder: Path) -> None:
        """Make the entries of a folder durable. Raises OSError for all who share a failed one."""
        with self._lock:
            asked_before = self._gathering.get(folder)
            if asked_before is None:
                asked = self._gathering[folder] = Future()
        if asked_before is not None:
            return asked_before.result()
        with self._running[hash(folder) % _LOCKS]:
            with self._lock:
                del self._gathering[folder]
            try:
                sync_folder(folder)
            except BaseException as error:
                asked.set_exception(error)
                raise
            return asked.set_result(None)


def write(
    target: Path, parts: Sequence[bytes | memoryview], *, sync: Callable[[Path], None] | None = None
) -> None:
    """Put a whole file in its place; `sync` makes the entries of its folder durable.

    Raises OSError, and then leaves no file. A failed fsync counts as a failed write: the kernel may
    have dropped the pages, so neither a second fsync nor a look at the file would tell the truth.
    """
    temporary = target.with_name(f"{target.name}.{uuid.uuid4().hex}{PART}")
    try:
        with temporary.open("xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            _sync(file.fileno())
        temporary.replace(target)
    except BaseException:
        remove(temporary)
        raise
    try:
        (sync or sync_folder)(target.parent)
    except OSError:
        remove(target)
        raise


class Group:
    """Files of one folder that become durable together, in a small part of the time.

    `add` puts a file beside its place, `finish` syncs and renames all and syncs the folder once,
    `discard` removes what has not been renamed. Both may be called again. At most a few dozen files
    at a time: each stays open, for an error of its pages is told to who wrote them alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: list[tuple[BinaryIO, Path, Path]] = []

    def __len__(self) -> int:
        return len(self._open)

    def add(self, name: str, data: bytes) -> None:
        """Write a file that is not in its place yet. Raises OSError."""
        target = self.folder / name
        temporary = target.with_name(f"{name}.{uuid.uuid4().hex}{PART}")
        file = temporary.open("xb")
        self._open.append((file, temporary, target))
        file.write(data)
        file.flush()

    def finish(self) -> None:
        """Put all in their places, durably. Raises OSError, and then leaves none of them."""
        if not self._open:
            return
        placed: list[Path] = []
        try:
            with ThreadPoolExecutor(SYNCS_AT_ONCE) as pool:
                list(pool.map(_sync, [file.fileno() for file, _, _ in self._open]))
            while self._open:
                file, temporary, target = self._open[-1]
                file.close()
                temporary.replace(target)
                placed.append(target)
                self._open.pop()
            sync_folder(self.folder)
        except BaseException:
            for target in placed:
                remove(target)
            raise

    def discard(self) -> None:
        """Remove what is not in its place."""
        while self._open:
            file, temporary, _ = self._open.pop()
            with contextlib.suppress(OSError):
                file.close()
            remove(temporary)


def make_folder(folder: Path, *, within: Path) -> None:
    """Make a folder, and see to it that every entry on the way from `within` survives."""
    there = within if folder != within else _nearest_existing(within.parent)
    folder.mkdir(parents=True, exist_ok=True)
    for made in takewhile(lambda path: path != there, [folder, *folder.parents]):
        sync_folder(made.parent)


def remove(file: Path) -> None:
    """Remove a file if the disk lets us; what stays is swept later."""
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable."""
    if sys.platform == "win32":  # folders cannot be opened there; NTFS journals the rename
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":  # there os.fsync stops at the drive's cache
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def _nearest_existing(folder: Path) -> Path:
    return next(path for path in [folder, *folder.parents] if path.exists())

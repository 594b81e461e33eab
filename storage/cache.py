"""Copies of stored files on this machine, for those who read files: bounded, the oldest go first.

A copy is there whole or not at all, also after a loss of power.
"""

import contextlib
import os
import threading
import time
from pathlib import Path

from storage import durable, places
from storage.durable import PART
from storage.errors import StorageError

IN_USE_SECONDS = 900.0  # a file that was asked for so lately may still be read
FORGET_SECONDS = 86400.0  # one that nobody has asked for goes: it may be gone from the store
_LEFTOVER_SECONDS = 600.0


class Cache:
    """A folder of copies. Processes of one host may share it.

    It may be larger than its limit by what is in use, and by a sixteenth.
    """

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._added_bytes = 0
        self._lock = threading.Lock()

    def find(self, relative: str) -> Path | None:
        """The copy of a file, marked as used now; None where there is none."""
        path = self._folder.joinpath(*places.parts_of(relative))
        try:
            os.utime(path)
        except OSError:
            return None
        return path

    def add(self, relative: str, data: bytes) -> Path:
        """Keep a copy. Raises StorageError when the disk fails."""
        path = self._folder.joinpath(*places.parts_of(relative))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            durable.write(path, [data])
        except OSError as error:
            raise StorageError(
                f"No copy can be kept under {self._folder}: {error.strerror}; make room there."
            ) from error
        with self._lock:
            self._added_bytes += len(data)
            due = self._added_bytes > self._limit_bytes // 16
            if due:
                self._added_bytes = 0
        if due:
            self.trim()
        return path

    def drop(self, relative: str) -> None:
        """Forget a copy."""
        durable.remove(self._folder.joinpath(*places.parts_of(relative)))

    def trim(self) -> None:
        """Remove the copies that were used longest ago until the rest fits, and old ones anyway."""
        now, kept_bytes = time.time(), 0
        for used_at, size_bytes, path in sorted(self._copies(), reverse=True):
            unused = now - used_at
            kept_bytes += size_bytes
            full = kept_bytes > self._limit_bytes and unused > IN_USE_SECONDS
            torn = path.name.endswith(PART) and unused > _LEFTOVER_SECONDS
            if full or torn or unused > FORGET_SECONDS:
                durable.remove(path)

    def _copies(self) -> list[tuple[float, int, Path]]:
        found = []
        for path in self._folder.rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file():
                    stat = path.stat()
                    found.append((stat.st_mtime, stat.st_size, path))
        return found

"""Disks of a test's own: one that is soon full, and one whose power can be cut.

Both need root. Where that or a tool is missing the tests are skipped, and say so.
"""

import contextlib
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

UNMOUNT_SECONDS = 10.0
_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, _IOR('X', 125, u32)
_WITHOUT_FLUSH = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH


@contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[Path]:
    """A disk of that size at `folder`."""
    _need_root()
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", folder)
    try:
        yield folder
    finally:
        _unmount(folder)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The disk at `folder` takes no writes for a while."""
    _run("mount", "-o", "remount,ro", folder)
    try:
        yield
    finally:
        _run("mount", "-o", "remount,rw", folder)


@contextmanager
def filled(folder: Path, *, leaving_bytes: int = 0) -> Iterator[None]:
    """Something else fills the disk at `folder` for a while."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        file.truncate(0)
        size = max(shutil.disk_usage(folder).free - leaving_bytes, 0)
        with contextlib.suppress(OSError):  # what is left may shrink meanwhile
            os.posix_fallocate(file.fileno(), 0, size)
    try:
        yield
    finally:
        filler.unlink()


@dataclass(frozen=True)
class PowerDisk:
    """An ext4 file system in a file, mounted at `folder`."""

    image: Path
    folder: Path

    def cut_power(self) -> None:
        """From now on nothing reaches the disk, and what was not synced is lost.

        The kernel drops its pages and the file system's journal as a power cut would.
        """
        import fcntl

        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _WITHOUT_FLUSH))
        finally:
            os.close(descriptor)

    def restore(self) -> None:
        """Mount again what the disk holds. Nobody may hold a file open."""
        _unmount(self.folder)
        self._mount()

    def _mount(self) -> None:
        _run("mount", "-o", "loop", self.image, self.folder)


@contextmanager
def power_disk(folder: Path, image: Path, *, size_mb: int = 64) -> Iterator[PowerDisk]:
    """A disk at `folder` whose power can be cut."""
    _need_root()
    if shutil.which("mkfs.ext4") is None or not Path("/dev/loop-control").exists():
        pytest.skip("needs mkfs.ext4 and loop devices")
    folder.mkdir(parents=True, exist_ok=True)
    with image.open("wb") as file:
        file.truncate(size_mb * 2**20)
    _run("mkfs.ext4", "-q", "-F", image)
    disk = PowerDisk(image, folder)
    disk._mount()
    try:
        yield disk
    finally:
        _unmount(folder)


def _need_root() -> None:
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root to mount a disk")


def _unmount(folder: Path) -> None:
    end = time.monotonic() + UNMOUNT_SECONDS
    while subprocess.run(["umount", folder], capture_output=True, check=False).returncode != 0:
        assert time.monotonic() < end, f"{folder} is still in use"
        time.sleep(0.1)


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"{command[0]} is not allowed here: {done.stderr.strip()}")

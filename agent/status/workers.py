"""Which workers live: each touches a file of its slot while it runs."""

import time
from dataclasses import dataclass
from pathlib import Path

ALIVE_SECONDS = 180.0  # workers touch their file every minute
_SUFFIX = ".alive"


@dataclass(frozen=True, kw_only=True)
class WorkerSign:
    """One slot and how long ago its worker was last seen."""

    slot: str
    seconds: float

    @property
    def alive(self) -> bool:
        """Whether it was seen lately."""
        return self.seconds <= ALIVE_SECONDS


def sign(lock_file: Path) -> None:
    """Say that the worker of this slot lives."""
    lock_file.with_suffix(_SUFFIX).touch()


def unsign(lock_file: Path) -> None:
    """Say that it has ended in order."""
    lock_file.with_suffix(_SUFFIX).unlink(missing_ok=True)


def seen(data_dir: Path) -> tuple[WorkerSign, ...]:
    """Every slot that has not ended in order."""
    files = sorted(data_dir.glob(f"worker-*{_SUFFIX}"))
    return tuple(
        WorkerSign(
            slot=file.stem.removeprefix("worker-"),
            seconds=max(0.0, time.time() - file.stat().st_mtime),
        )
        for file in files
    )

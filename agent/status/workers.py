"""Which workers live: each touches a file of its slot, and on PostgreSQL has a lease."""

import time
from dataclasses import dataclass
from pathlib import Path

from storage import executors
from storage.database import Database
from storage.errors import StorageError

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


def seen(data_dir: Path, database: Database) -> tuple[WorkerSign, ...]:
    """Every slot that has not ended in order; of other hosts those whose lease runs."""
    files = sorted(data_dir.glob(f"worker-*{_SUFFIX}"))
    here = {
        file.stem.removeprefix("worker-"): max(0.0, time.time() - file.stat().st_mtime)
        for file in files
    }
    elsewhere = dict.fromkeys(sorted(_leased(database) - set(here)), 0.0)
    return tuple(
        WorkerSign(slot=slot, seconds=seconds) for slot, seconds in (here | elsewhere).items()
    )


def _leased(database: Database) -> frozenset[str]:
    try:
        with database.read() as session:
            return executors.workers(session)
    except StorageError:  # an alarm of its own
        return frozenset()

"""Runs threads and processes at the same time."""

import multiprocessing
import threading
from collections.abc import Callable, Iterable
from multiprocessing.synchronize import Barrier
from typing import Any

Call = tuple[Callable[..., object], tuple[Any, ...]]


def moment(*, of: int) -> Barrier:
    """Something at which so many threads and processes wait until all are there."""
    return multiprocessing.get_context("spawn").Barrier(of, timeout=60.0)


def run(*, threads: Iterable[Call], processes: Iterable[Call] = ()) -> None:
    """Start all, wait for all. A thread's error fails the test by itself, a process's here."""
    spawn = multiprocessing.get_context("spawn")
    running = [threading.Thread(target=call, args=args) for call, args in threads]
    apart = [spawn.Process(target=call, args=args) for call, args in processes]
    for process in apart:
        process.start()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    for process in apart:
        process.join()
    assert [process.exitcode for process in apart] == [0] * len(apart)

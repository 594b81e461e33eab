"""Counts over everything that is kept: taken anew while that is quick, else remembered a while."""

import threading
import time
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

from storage import figures

P = ParamSpec("P")
T = TypeVar("T")

QUICK_SECONDS = 0.1  # what takes no longer is always counted anew
TIMES_AS_LONG = 100.0  # as it took, an answer stands: so counting costs 1 % of a core at most


class Remembered(Generic[P, T]):
    """The answer of a function, which may be as old as `TIMES_AS_LONG` the time that it took.

    Arguments are what the answer is taken with, not what it is about. Of several that ask at once
    one counts.
    """

    def __init__(self, count: Callable[P, T], *, clock: Callable[[], float] = time.monotonic):
        self._count = count
        self._clock = clock
        self._lock = threading.Lock()
        self._answer: list[T] = []
        self._good_until = 0.0

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._lock:
            begin = self._clock()
            if not self._answer or begin >= self._good_until:
                self._answer = [self._count(*args, **kwargs)]
                end = self._clock()
                took = end - begin
                self._good_until = end + TIMES_AS_LONG * took if took > QUICK_SECONDS else end
            return self._answer[0]


class Counts:
    """What the status page and its metrics count, remembered for all who ask one process."""

    def __init__(self) -> None:
        self.by_state = Remembered(figures.by_state)
        self.incomplete = Remembered(figures.incomplete)
        self.deliveries = Remembered(figures.deliveries)
        self.outcomes = Remembered(figures.outcomes)

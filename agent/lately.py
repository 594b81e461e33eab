"""What this process has just made, so that the next step need not make it again.

An accelerator and nothing else: what is asked for is named by the digest of all that it follows
from, so that another input never meets an old answer, and what is not here is made anew.
"""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Lately(Generic[T]):
    """The last few values, by their digest. Any thread may ask."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: str) -> T | None:
        """The value, if it is among the last ones."""
        with self._lock:
            return self._values.get(digest)

    def put(self, digest: str, value: T) -> None:
        """Keep it, in the place of the oldest one."""
        with self._lock:
            self._values[digest] = value
            self._values.move_to_end(digest)
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def take(self, digest: str) -> T | None:
        """The value for the last time, which frees its memory."""
        with self._lock:
            return self._values.pop(digest, None)

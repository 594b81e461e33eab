"""Log lines about strangers: one a minute and address at most, so that no flood fills the disk."""

import logging
import threading
import time
from dataclasses import dataclass

INTERVAL_SECONDS = 60.0
MAXIMUM_ADDRESSES = 1024


@dataclass(kw_only=True)
class _Told:
    at: float
    silent: int = 0


class Notices:
    """Says the first thing about an address at once, and later how much was left unsaid."""

    def __init__(self, log: logging.Logger, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._log = log
        self._interval_seconds = interval_seconds
        self._told: dict[str, _Told] = {}
        self._lock = threading.Lock()

    def tell(self, level: int, address: str, sentence: str, *, action: str) -> None:
        """Log the sentence, unless this address had its line within the last minute."""
        with self._lock:
            silent = self._due(address)
        if silent is None:
            return
        more = f" ({silent} more like it were not logged.)" if silent else ""
        self._log.log(level, "%s%s", sentence, more, extra={"action": action, "address": address})

    def _due(self, address: str) -> int | None:
        """How many lines were left out before this one; None where it is left out itself."""
        now = time.monotonic()
        told = self._told.get(address)
        if told is not None and now - told.at < self._interval_seconds:
            told.silent += 1
            return None
        self._told.pop(address, None)
        self._told[address] = _Told(at=now)
        if len(self._told) > MAXIMUM_ADDRESSES:
            del self._told[next(iter(self._told))]
        return told.silent if told else 0

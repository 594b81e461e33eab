"""Lets retention and pruning run now and then, beside the work."""

import logging
import threading
from datetime import UTC, datetime

from agent.errors import AgentError
from agent.pruning import Pruning
from agent.retention import Retention
from storage.errors import StorageError

logger = logging.getLogger(__name__)

RUN_SECONDS = 900.0


class Housekeeping:
    """One thread that removes what the policy lets go, and rows that nobody needs any more."""

    def __init__(
        self, retention: Retention, pruning: Pruning, *, every_seconds: float = RUN_SECONDS
    ) -> None:
        self._retention = retention
        self._pruning = pruning
        self._every_seconds = every_seconds
        self._whole_since: datetime | None = None  # the last run of retention that came to its end
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Look at once, and then again and again."""
        self._thread.start()

    def stop(self) -> None:
        """End after the run in progress."""
        self._pruning.stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                now = datetime.now(UTC)
                self._retention.run(now, broken_off_since=self._whole_since)
                self._whole_since = now
                self._pruning.run(now)
            except (AgentError, StorageError, OSError) as error:
                logger.warning("Retention waits: %s", error, extra={"action": "retention_waits"})
            except Exception:  # a border: the next run may go better
                logger.exception("Retention failed", extra={"action": "retention_failed"})
            if self._pruning.stopping.wait(self._every_seconds):
                return

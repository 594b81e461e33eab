"""Drops the rows that keep the work going, once the work is long over; a few at a time.

The engine's runs with their steps, how often they were taken over, and requests for storage
commitment. What a study was, what it said and who saw it stays.
"""

import logging
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agent.jobs import Jobs
from storage import executors, proofs
from storage.database import Database

logger = logging.getLogger(__name__)

KEPT = timedelta(days=14)  # after the end of a run or a study, for who looks into it
AT_ONCE = 200  # rows of one transaction, which others wait for on SQLite
BATCHES = 100  # of one run
PAUSE_SECONDS = 0.1  # between them


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """Of one node's database."""

    database: Database
    jobs: Jobs
    at_once: int = AT_ONCE
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, now: datetime) -> int:
        """Drop what ended long ago, up to a bound; how many runs and requests went."""
        dropped = 0
        for _ in range(BATCHES):
            count = self._drop_some(now - KEPT)
            dropped += count
            if count == 0 or self.stopping.wait(PAUSE_SECONDS):
                break
        if dropped:
            logger.info(
                "%d rows of ended work were dropped",
                dropped,
                extra={"action": "rows_pruned", "count": dropped},
            )
        return dropped

    def _drop_some(self, before: datetime) -> int:
        runs = self.jobs.ended(before=before, limit=self.at_once)
        with self.database.begin() as session:  # first: a run that is gone names nothing
            executors.forget_takeovers(session, runs)
            requests = proofs.forget(session, before=before, limit=self.at_once)
        if runs:
            self.jobs.forget(runs)
        return len(runs) + requests

"""Looks through the whole store once after a start, in the background and at leisure.

At the start itself only the newest studies are looked at: ten million files take minutes. What is
found here was lost otherwise than by the last crash, such as in a copy of a data folder.
"""

import logging
import threading
import time
from itertools import islice

from agent.dicom import recovery
from storage.database import Database
from storage.errors import StorageError
from storage.store import Store

logger = logging.getLogger(__name__)

FOLDERS = 10  # at a time
REST = 3.0  # times as long as they took: a quarter of a core
RETRY_SECONDS = 5.0
_STOP_SECONDS = 5.0  # for the folders in progress; what was not seen is seen at the next start


class Tidying:
    """One thread that removes what broken-off writes left and makes rows for files without."""

    def __init__(self, store: Store, database: Database) -> None:
        self._store = store
        self._database = database
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tidying", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._wanted.set()
        self._thread.start()

    def look_again(self) -> None:
        """Look through all once more, as after the end of another listener."""
        self._wanted.set()

    def stop(self) -> None:
        """Break off; the next start begins anew."""
        self._stopping.set()
        self._wanted.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while self._wanted.wait() and not self._stopping.is_set():
            self._wanted.clear()
            try:
                self._look()
            except (StorageError, OSError) as error:
                logger.warning("Tidying waits: %s", error, extra={"action": "tidying_waits"})
                self._wanted.set()
                self._stopping.wait(RETRY_SECONDS)
            except Exception:  # a border: receiving goes on
                logger.exception("Tidying failed", extra={"action": "tidying_failed"})

    def _look(self) -> None:
        self._store.sweep(may_go_on=lambda: not self._stopping.is_set())
        rest = self._store.image_folders()
        while folders := list(islice(rest, FOLDERS)):
            begin = time.monotonic()
            recovery.rebuild(self._store, self._database, folders=folders)
            if self._stopping.wait(REST * (time.monotonic() - begin)):
                return

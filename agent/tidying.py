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
from storage.files import FileStore

logger = logging.getLogger(__name__)

FOLDERS = 10  # at a time
REST = 3.0  # times as long as they took: a quarter of a core


class Tidying:
    """One thread that removes what broken-off writes left and makes rows for files without."""

    def __init__(self, store: FileStore, database: Database) -> None:
        self._store = store
        self._database = database
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tidying", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Break off; the next start begins anew."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._look()
        except (StorageError, OSError) as error:
            logger.warning("Tidying was broken off: %s", error, extra={"action": "tidying_ended"})
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

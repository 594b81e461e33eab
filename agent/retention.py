"""Removes the files of studies that are over and delivered: by age, and where room runs short."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from agent import audit_trail
from agent.errors import ConfigurationError
from storage import audit, retention
from storage.database import Database
from storage.records import Study, StudyKey, StudyUid
from storage.store import Store

logger = logging.getLogger(__name__)

WHO = "retention"
REMOVAL_LOCK = 0x6E757264  # any number, the same in every process
_AT_WORK = "Files are being removed or backed up at this moment; try again later."


class What(StrEnum):
    """What is removed of a study."""

    IMAGES = "images"
    RESULTS = "results"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How long files are kept after their study ended; 0 keeps them.

    Beyond `used_percent` of the disk the images and results of the studies that ended first go,
    however old they are; 0 never does that. `without_proof` lets files go as well where a
    destination took the results and proof of that was not to be had, or not asked for.
    """

    images_days: float = 0.0
    results_days: float = 0.0
    used_percent: float = 0.0
    without_proof: bool = False


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What went, or would go."""

    study: StudyKey
    finished_at: datetime | None
    what: What
    why: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Retention:
    """A policy for one node's files. With `dry_run` nothing is changed."""

    database: Database
    store: Store
    policy: Policy
    dry_run: bool = False

    def run(self, now: datetime, *, broken_off_since: datetime | None = None) -> list[Removal]:
        """Remove what the policy lets go; what went, or would.

        What an earlier run broke off is finished first; `broken_off_since` says from when on there
        may be any, None that nobody knows.
        """
        self.store.forget_copies()
        if self.dry_run:
            return [*self._by_age(now), *self._for_room(now)]
        try:
            with (
                _lock(self.store.root).acquire(timeout=0),
                self.database.alone(REMOVAL_LOCK) as alone,
            ):
                if not alone:
                    raise ConfigurationError(_AT_WORK)
                self._finish_earlier(broken_off_since)
                return [*self._by_age(now), *self._for_room(now)]
        except Timeout as error:
            raise ConfigurationError(_AT_WORK) from error

    def _by_age(self, now: datetime) -> Iterator[Removal]:
        ages = {What.IMAGES: self.policy.images_days, What.RESULTS: self.policy.results_days}
        for what, days in ages.items():
            if days:
                for study in self._finished(before=now - timedelta(days=days)):
                    yield from self._remove(study, what, f"ended more than {days:g} days ago", now)

    def _for_room(self, now: datetime) -> Iterator[Removal]:
        """The studies that ended first, one after the other, until little enough is used."""
        limit = self.policy.used_percent
        if not limit or self.store.room().used_percent <= limit:
            return
        why = f"more than {limit:g} % of the disk is used"
        would_be_free = 0
        for study in self._finished():
            for what in What:
                for removal in self._remove(study, what, why, now):
                    would_be_free += removal.size_bytes if self.dry_run else 0
                    yield removal
            if self.store.room(more_free_bytes=would_be_free).used_percent <= limit:
                return

    def _finished(self, *, before: datetime | None = None) -> list[Study]:
        with self.database.read() as session:
            found = retention.finished(
                session, before=before, without_proof=self.policy.without_proof
            )
            return list(found)

    def _remove(self, study: Study, what: What, why: str, now: datetime) -> Iterator[Removal]:
        """Note it first, so that nobody counts on the files; then remove them."""
        size_bytes = self._size(study, what)
        if size_bytes is None:
            return
        if not self.dry_run:
            if not self._note(study, what, why, now):
                return
            self._remove_files(study, what)
            logger.info(
                "The %s of a study were removed: %s",
                what,
                why,
                extra={"action": f"{what}_removed", "study": study.key, "bytes": size_bytes},
            )
        yield Removal(
            study=study.key,
            finished_at=study.finished_at,
            what=what,
            why=why,
            size_bytes=size_bytes,
        )

    def _size(self, study: Study, what: What) -> int | None:
        """What the files take; None where there are none, or one came again just now."""
        with self.database.read() as session:
            if what is What.RESULTS:
                if not retention.has_results(session, study.study_uid):
                    return None
                return sum(self.store.result_bytes(key) for key in _revisions(study))
            paths = retention.paths_here(session, study.study_uid)
        return self.store.weigh_images(study.study_uid, paths) if paths else None

    def _note(self, study: Study, what: What, why: str, now: datetime) -> bool:
        take = retention.take_images if what is What.IMAGES else retention.take_results
        with self.database.begin() as session:
            if not take(session, study, now=now):
                return False
            audit.append(
                session,
                who=WHO,
                action=audit_trail.STUDY_REMOVED,
                subject=study.key,
                detail=f"{what}: {why}",
                now=now,
            )
        return True

    def _remove_files(self, study: Study, what: What) -> None:
        if what is What.IMAGES:
            self._remove_images(study.study_uid)
        else:
            for key in _revisions(study):
                self.store.remove_results(key)

    def _remove_images(self, study_uid: StudyUid) -> None:
        with self.database.read() as session:
            paths = retention.paths_removed(session, study_uid)
        self.store.remove_images(study_uid, paths)

    def _finish_earlier(self, since: datetime | None) -> None:
        """Remove images whose removal was noted and then broken off."""
        with self.database.read() as session:
            noted = retention.studies_removed(session, since=since)
        for study_uid in noted:
            if self.store.has_images(study_uid):
                self._remove_images(study_uid)


@contextmanager
def no_removal(database: Database, data_dir: Path) -> Iterator[None]:
    """Keep retention from removing files, on any host; waits for a run that is at work."""
    with _lock(data_dir), database.alone(REMOVAL_LOCK, wait=True):
        yield


def _lock(data_dir: Path) -> FileLock:
    return FileLock(data_dir / "retention.lock")


def _revisions(study: Study) -> list[StudyKey]:
    return [StudyKey(f"{study.study_uid}#{number}") for number in range(1, study.revision + 1)]

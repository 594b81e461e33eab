"""What every store of files does, on a disk (`files`) or in a bucket (`objects`).

Every path that a store gives or takes is relative, with forward slashes. Whatever it keeps survives
a loss of power from the moment the call returns.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from storage.records import StoredFile, StudyKey
from storage.room import Room

CLAIM_SECONDS = 3600.0  # an image that came within the last hour may wait for its row


class Store(Protocol):
    """Images and results. Methods raise StorageError where the disk or the bucket fails."""

    @property
    def root(self) -> Path:
        """The data folder on this machine."""

    def keep_image(
        self, study_uid: str, content_sha256: str, parts: Sequence[bytes | memoryview]
    ) -> tuple[str, bool]:
        """Keep an image under the digest of its content; its path, and whether it is new here."""

    def keep_result(self, key: StudyKey, name: str, data: bytes) -> StoredFile:
        """Keep a result file of a revision, in the place of an older one of that name."""

    def keeping_results(
        self, key: StudyKey
    ) -> AbstractContextManager[Callable[[str, bytes], StoredFile]]:
        """Give a `keep_result` whose files are durable when the block has ended, not before."""

    def keep_identity(self, candidate: str) -> str:
        """The identity of this store; the candidate becomes it where there is none."""

    def identity(self) -> str | None:
        """The identity of this store, None where it has none yet."""

    def result_path(self, key: StudyKey, name: str) -> str:
        """Where `keep_result` puts a file of that name."""

    def path_of(self, relative: str) -> Path:
        """Where a stored file can be read on this machine; refuses to leave the store."""

    def paths_of(self, relatives: Iterable[str]) -> list[Path]:
        """The same for many files, in that order."""

    def read(self, relative: str) -> bytes:
        """The bytes of a stored file. Raises NotFound."""

    def image_paths(self, folders: Iterable[str] | None = None) -> Iterator[str]:
        """Every image that is kept, or those of some folders, those of a study together."""

    def image_folders(self, *, within_seconds: float | None = None) -> Iterator[str]:
        """The folders of studies, or of those that took a file so shortly before the newest one."""

    def image_folder(self, study_uid: str) -> str:
        """The folder of a study's images, whether it is here or not."""

    def came_at(self, relative: str) -> datetime | None:
        """When an image came, or came again; None where it is not here."""

    def size_of(self, relative: str) -> int:
        """How many bytes a stored file takes; 0 where it is not here."""

    def set_aside(self, relative: str) -> None:
        """Rename a damaged image, so that it is looked at by a person and not read again."""

    def weigh_images(self, study_uid: str, relatives: Collection[str], /) -> int | None:
        """How many bytes images of a study take; None where one of them came lately."""

    def remove_images(self, study_uid: str, relatives: Collection[str]) -> None:
        """Remove images of a study, but for those that came lately. One process at a time may."""

    def has_images(self, study_uid: str) -> bool:
        """Whether images of a study are here."""

    def result_bytes(self, key: StudyKey) -> int:
        """How many bytes the results of a revision take."""

    def remove_results(self, key: StudyKey) -> None:
        """Remove what `keep_result` kept of a revision."""

    def sweep(self, *, may_go_on: Callable[[], bool] = lambda: True) -> int:
        """Remove what writes that never ended have left; says how many files.

        `may_go_on` is asked now and then.
        """

    def forget_copies(self) -> None:
        """Let go of copies on this machine that nobody has used for long."""

    def room(self, *, more_free_bytes: int = 0) -> Room:
        """What is left on the disk of the data folder, or would be if so much went."""


def described(relative: str, data: bytes) -> StoredFile:
    """What a store says of a file with these bytes."""
    return StoredFile(path=relative, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def recent(changed_at: Mapping[str, float], within_seconds: float) -> Iterator[str]:
    """The folders that changed (s since the epoch) so shortly before the newest one."""
    oldest = max(changed_at.values(), default=0.0) - within_seconds
    return (folder for folder, at in changed_at.items() if at >= oldest)


def is_left_over(store: Store, relative: str, removed_at: datetime | None) -> bool:
    """Whether a file is one that was noted as removed then, and not one that came again."""
    if removed_at is None:
        return False
    came_at = store.came_at(relative)
    return came_at is None or came_at.timestamp() < removed_at.timestamp() - CLAIM_SECONDS

"""A store of files in a bucket, with copies on this machine for those who read them."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath

from storage import durable, places, room
from storage.bucket import Bucket, Entry
from storage.cache import Cache
from storage.errors import StorageError
from storage.records import StoredFile, StudyKey
from storage.room import NO_WATERMARK, Room
from storage.store import CLAIM_SECONDS, described, recent

CACHE_FOLDER = "cache"
AT_ONCE = 8  # objects that are fetched at the same time
REMOVING_SECONDS = 600.0  # after which a removal has ended or will never
_REMOVING = "removing"
_DAMAGED = "damaged"
_IDENTITY = "installation"


class ObjectStore:
    """A `Store` in a bucket. An image never changes under its name, so a copy of it counts; a
    result may be written again, by any host, so it is fetched each time."""

    def __init__(self, bucket: Bucket, root: Path, *, cache_bytes: int) -> None:
        self.root = root.resolve()
        self.bucket = bucket
        self._cleared: set[str] = set()  # studies of which removals have left nothing
        self._cache = Cache(self.root / CACHE_FOLDER, limit_bytes=cache_bytes)

    def keep_image(
        self, study_uid: str, content_sha256: str, parts: Sequence[bytes | memoryview]
    ) -> tuple[str, bool]:
        """As `FileStore.keep_image`. The bucket's own clock says when an image came."""
        name, data = places.of_image(study_uid, content_sha256), b"".join(parts)
        if self.bucket.put(name, data, only_new=True):
            return name, True
        self._keep_again(study_uid, name, data)
        return name, False

    def keep_result(self, key: StudyKey, name: str, data: bytes) -> StoredFile:
        """Keep a result file of a revision, in the place of an older one of that name."""
        path = self.result_path(key, name)
        self.bucket.put(path, data)
        return described(path, data)

    @contextmanager
    def keeping_results(self, key: StudyKey) -> Iterator[Callable[[str, bytes], StoredFile]]:
        """As `FileStore.keeping_results`; here each is durable at once."""
        yield partial(self.keep_result, key)

    def identity(self) -> str | None:
        """The identity of this store, None where it has none yet."""
        if self.bucket.look_up(_IDENTITY) is None:
            return None
        return self.bucket.get(_IDENTITY).decode("ascii").strip()

    def keep_identity(self, candidate: str) -> str:
        """The identity of this store; the candidate becomes it where there is none."""
        self.bucket.put(_IDENTITY, f"{candidate}\n".encode("ascii"), only_new=True)
        return self.bucket.get(_IDENTITY).decode("ascii").strip()

    def result_path(self, key: StudyKey, name: str) -> str:
        """Where `keep_result` puts a file of that name."""
        return places.of_result(key, name)

    def path_of(self, relative: str) -> Path:
        """A copy on this machine. Raises NotFound where the bucket has no such object."""
        copy = self._cache.find(relative) if _never_changes(relative) else None
        return copy or self._cache.add(relative, self.read(relative))

    def paths_of(self, relatives: Iterable[str]) -> list[Path]:
        """The same for many files, fetched side by side."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self.path_of, relatives))

    def read(self, relative: str) -> bytes:
        """The bytes of a stored file, as they were written."""
        places.parts_of(relative)
        return self.bucket.get(relative)

    def image_paths(self, folders: Iterable[str] | None = None) -> Iterator[str]:
        """Every image that is kept, or those of some folders, in the order of the names."""
        every = [places.IMAGES] if folders is None else [f"{places.IMAGES}/{f}" for f in folders]
        for folder in every:
            for entry in self.bucket.entries(folder):
                if entry.name.endswith(".dcm"):
                    yield entry.name

    def image_folders(self, *, within_seconds: float | None = None) -> Iterator[str]:
        """The folders of studies, or of those that took a file so shortly before the newest one."""
        changed_at: dict[str, float] = {}
        for entry in self.bucket.entries(places.IMAGES):
            folder = PurePosixPath(entry.name).parent.name
            changed_at[folder] = max(changed_at.get(folder, 0.0), entry.changed_at.timestamp())
        return iter(changed_at) if within_seconds is None else recent(changed_at, within_seconds)

    def image_folder(self, study_uid: str) -> str:
        """The folder of a study's images, whether it is here or not."""
        return places.folder_of(study_uid)

    def came_at(self, relative: str) -> datetime | None:
        """When an image came, or came again; None where it is not here."""
        entry = self.bucket.look_up(relative)
        return entry.changed_at if entry else None

    def size_of(self, relative: str) -> int:
        """How many bytes a stored file takes; 0 where it is not here."""
        entry = self.bucket.look_up(relative)
        return entry.size_bytes if entry else 0

    def set_aside(self, relative: str) -> None:
        """Keep a damaged image under another name, where it is not read again."""
        self.bucket.put(f"{_DAMAGED}/{relative}", self.bucket.get(relative))
        self.bucket.delete(relative)
        self._cache.drop(relative)

    def weigh_images(self, study_uid: str, relatives: Collection[str]) -> int | None:
        """How many bytes images of a study take; None where one of them came lately."""
        here = self._among(study_uid, relatives)
        if any(_is_younger(entry, CLAIM_SECONDS) for entry in here):
            return None
        return sum(entry.size_bytes for entry in here)

    def remove_images(self, study_uid: str, relatives: Collection[str]) -> None:
        """Remove images of a study, but for those that came lately. One process at a time may."""
        note = _note_of(study_uid)
        self.bucket.put(note, b"")  # before the look: see `_keep_again`
        here = self._among(study_uid, relatives)
        gone = [one.name for one in here if not _is_younger(one, CLAIM_SECONDS)]
        if gone:
            self.bucket.delete(*gone)
        self.bucket.delete(note)
        for name in gone:
            self._cache.drop(name)
        self._cleared.add(study_uid)

    def has_images(self, study_uid: str) -> bool:
        """Whether images of a study are here; asked once of those that were removed from here."""
        if study_uid in self._cleared:
            return False
        found = next(self.bucket.entries(places.of_images(study_uid)), None) is not None
        if not found:
            self._cleared.add(study_uid)
        return found

    def result_bytes(self, key: StudyKey) -> int:
        """How many bytes the results of a revision take."""
        return sum(one.size_bytes for one in self.bucket.entries(places.of_results(key)))

    def remove_results(self, key: StudyKey) -> None:
        """Remove what `keep_result` kept of a revision."""
        names = [one.name for one in self.bucket.entries(places.of_results(key))]
        if names:
            self.bucket.delete(*names)
        for name in names:
            self._cache.drop(name)

    def keep_folder(self, relative: str, folder: Path, *, last: str) -> None:
        """Keep a folder that never changes; the file `last` says that all of it is there."""
        if self.bucket.look_up(f"{relative}/{last}") is not None:
            return
        files = [path for path in folder.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda one: one == folder / last):
            self.bucket.put(f"{relative}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def fetch_folder(self, relative: str, target: Path, *, last: str) -> bool:
        """Put a folder that was kept into an empty one; False where it is not there, or not all."""
        if self.bucket.look_up(f"{relative}/{last}") is None:
            return False
        for entry in self.bucket.entries(relative):
            file = target.joinpath(*places.parts_of(entry.name.removeprefix(f"{relative}/")))
            file.parent.mkdir(parents=True, exist_ok=True)
            durable.write(file, [self.bucket.get(entry.name)])
        return True

    def sweep(self, *, may_go_on: Callable[[], bool] = lambda: True) -> int:
        """Nothing is left in a bucket by a write that never ended."""
        del may_go_on
        self.forget_copies()
        return 0

    def forget_copies(self) -> None:
        """Let go of copies on this machine that nobody has used for long."""
        self._cache.trim()

    def room(self, *, more_free_bytes: int = 0) -> Room:
        """The room for copies. None is kept for images: the bucket takes them, or says no."""
        try:
            return room.measure(
                self.root,
                reserve_bytes=0,
                watermark_percent=NO_WATERMARK,
                more_free_bytes=more_free_bytes,
            )
        except OSError as error:
            raise StorageError(f"{self.root} cannot be looked at: {error.strerror}.") from error

    def _among(self, study_uid: str, relatives: Collection[str]) -> list[Entry]:
        """What of these images is here."""
        entries = self.bucket.entries(places.of_images(study_uid))
        return [entry for entry in entries if entry.name in relatives]

    def _keep_again(self, study_uid: str, name: str, data: bytes) -> None:
        """Make an image new that is here already, so that retention spares it.

        Retention notes a removal, looks at the age, deletes, and takes the note away. A write
        before that look is seen by it. After one that came later, either the note is still there,
        or the object is gone: the sender is asked to try again. Without either it stays.
        """
        if _is_younger(self.bucket.look_up(name), CLAIM_SECONDS / 2):
            return
        self.bucket.put(name, data)
        removing = _is_younger(self.bucket.look_up(_note_of(study_uid)), REMOVING_SECONDS)
        if removing or self.bucket.look_up(name) is None:
            raise StorageError("This image is being removed at this moment; send it again.")


def _never_changes(relative: str) -> bool:
    return relative.startswith(f"{places.IMAGES}/")


def _note_of(study_uid: str) -> str:
    return f"{_REMOVING}/{places.of_images(study_uid)}"


def _is_younger(entry: Entry | None, seconds: float) -> bool:
    return entry is not None and entry.changed_at.timestamp() > time.time() - seconds

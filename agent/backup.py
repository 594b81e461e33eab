"""A copy of everything that a node has to keep, made while it runs, and the way back.

The database goes first. Files are written once and never changed, and none is removed meanwhile, so
that what is copied after the database holds all that its rows name; what has come since gets its
rows when the restored node starts. A backup is one when its manifest is there.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import BinaryIO

from agent.errors import AgentError, ConfigurationError
from agent.retention import no_removal
from storage import durable, retention, snapshot
from storage.database import open_database
from storage.objects import CACHE_FOLDER

MANIFEST = "manifest.json"
FORMAT = 1
RESTORING = "RESTORING"  # in a data folder that is not whole yet
OBJECTS = "objects.txt"  # what stays in the bucket, a name a line
_DATABASE, _DATA, _CONFIGURATION = "database", "data", "configuration"
_CHUNK_BYTES = 1 << 20
# Written by running processes for themselves.
_NOT_COPIED = (".part", ".lock", ".alive", ".db", ".db-wal", ".db-shm", ".db-journal")


class DamagedBackup(AgentError):
    """The backup is not what its manifest says."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a node keeps what it has to keep; `configuration` is None where it has no file.

    `objects` lists what its bucket holds, where it has one: these stay there and are not copied.
    """

    database_url: str
    data_dir: Path
    configuration: Path | None
    objects: Callable[[], Iterator[str]] | None = None


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a backup or a restore came to; `missing` are files that only the database knows."""

    file_count: int
    size_bytes: int
    linked_count: int = 0
    missing: tuple[str, ...] = ()
    object_count: int = 0  # that stay in the bucket


@dataclass(frozen=True, kw_only=True)
class _Entry:
    sha256: str
    size_bytes: int


_Entries = dict[str, _Entry]


def make(place: Place, target: Path, *, onto: Path | None = None) -> Made:
    """Copy a node into an empty folder and read the copy again.

    Images that the backup `onto` holds already are linked, not copied.
    """
    if not place.data_dir.is_dir():
        raise ConfigurationError(f"There is no data folder {place.data_dir} to back up.")
    _need_empty(target, "the backup")
    if target.resolve().is_relative_to(place.data_dir.resolve()):
        raise ConfigurationError(f"{target} lies in the data folder; name one on another disk.")
    earlier = _read_manifest(onto) if onto else {}
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    target.chmod(0o700)  # patient data, and what the configuration holds of secrets
    with (
        closing(open_database(place.database_url)) as database,
        no_removal(database, place.data_dir),
    ):
        with database.read() as session:
            named = retention.files_named(session)
        (target / _DATABASE).mkdir()
        saved = snapshot.save(place.database_url, target / _DATABASE)
        entries = {f"{_DATABASE}/{saved.name}": _entry(saved)}
        linked = _link_images(place.data_dir, target / _DATA, onto, earlier) if onto else {}
        entries |= linked | _copy_data(place.data_dir, target / _DATA)
        elsewhere = _list_objects(place.objects, target) if place.objects else frozenset()
    if elsewhere:
        entries[OBJECTS] = _entry(target / OBJECTS)
    if place.configuration is not None:
        name = f"{_CONFIGURATION}/{place.configuration.name}"
        entries[name] = _copy(place.configuration, target / name)
    _sync_folders(target)
    durable.write(target / MANIFEST, [json.dumps(_manifest(entries), indent=1).encode()])
    verify(target)
    return Made(
        file_count=len(entries),
        size_bytes=sum(one.size_bytes for one in entries.values()),
        linked_count=len(linked),
        missing=tuple(
            sorted(p for p in named if f"{_DATA}/{p}" not in entries and p not in elsewhere)
        ),
        object_count=len(elsewhere),
    )


def verify(source: Path) -> Made:
    """Read a backup and compare it with its manifest. Raises DamagedBackup."""
    told = _read_manifest(source)
    here = _entries(source)
    for path, entry in told.items():
        if path not in here:
            raise DamagedBackup(f"The backup {source} lacks {path}.")
        if here[path] != entry:
            raise DamagedBackup(f"In the backup {source} the file {path} is not what was saved.")
    return Made(file_count=len(told), size_bytes=sum(one.size_bytes for one in told.values()))


def restore(source: Path, place: Place) -> Made:
    """Put a backup in the place of a new node; its data folder and database must be empty."""
    _need_empty(place.data_dir, "the restored node")
    snapshot.check_empty(place.database_url)
    made = verify(source)
    durable.make_folder(place.data_dir, within=place.data_dir)
    place.data_dir.chmod(0o700)
    durable.write(place.data_dir / RESTORING, [b"A restore into this folder has not ended.\n"])
    saved = source / _DATA
    for path in _files(saved):
        _copy(path, place.data_dir / path.relative_to(saved))
    _sync_folders(place.data_dir)
    (database,) = (source / _DATABASE).iterdir()
    snapshot.load(place.database_url, database)
    (place.data_dir / RESTORING).unlink()
    durable.sync_folder(place.data_dir)
    return made


def check_whole(data_dir: Path) -> None:
    """Raise ConfigurationError where a restore into this folder was broken off."""
    if (data_dir / RESTORING).exists():
        raise ConfigurationError(
            f"A restore into {data_dir} has not ended; empty the folder and its database, and "
            "restore again."
        )


def _list_objects(objects: Callable[[], Iterator[str]], target: Path) -> frozenset[str]:
    """Write down what the bucket holds; what."""
    names = sorted(objects())
    durable.write(target / OBJECTS, ["".join(f"{name}\n" for name in names).encode()])
    return frozenset(names)


def _need_empty(folder: Path, whose: str) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} is not empty; name a new folder for {whose}.")


def _link_images(source: Path, target: Path, onto: Path, earlier: _Entries) -> _Entries:
    """Link the images that the earlier backup holds: one of the same name is the same."""
    linked = {}
    for path in _files(source / "images"):
        relative = path.relative_to(source)
        name = f"{_DATA}/{relative.as_posix()}"
        if name in earlier and _is_linked(onto / _DATA / relative, target / relative):
            linked[name] = earlier[name]
    return linked


def _is_linked(source: Path, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # another disk, or one that knows no links
        return False
    return True


def _copy_data(source: Path, target: Path) -> _Entries:
    """Copy what of a data folder is not in the target yet."""
    copied = {}
    for path in _files(source):
        relative = path.relative_to(source)
        if not (target / relative).exists():
            with contextlib.suppress(FileNotFoundError):  # of a training that has just ended
                copied[f"{_DATA}/{relative.as_posix()}"] = _copy(path, target / relative)
    return copied


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        left_out = path.is_relative_to(folder / CACHE_FOLDER) or path.name.endswith(_NOT_COPIED)
        if path.is_file() and not left_out:
            yield path


def _copy(source: Path, target: Path) -> _Entry:
    """Copy a file durably; what was read of it."""
    with source.open("rb") as old:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as new:
            entry = _read(old, new)
            new.flush()
            os.fsync(new.fileno())
    shutil.copystat(source, target)  # the time of an image says when it came
    return entry


def _read(file: BinaryIO, copy: BinaryIO | None = None) -> _Entry:
    digest, size_bytes = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        size_bytes += len(chunk)
        if copy is not None:
            copy.write(chunk)
    return _Entry(sha256=digest.hexdigest(), size_bytes=size_bytes)


def _sync_folders(root: Path) -> None:
    for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
        durable.sync_folder(folder)
    durable.sync_folder(root.parent)


def _entries(folder: Path) -> _Entries:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): _entry(path)
        for path in found
        if path != folder / MANIFEST
    }


def _entry(path: Path) -> _Entry:
    with path.open("rb") as file:
        return _read(file)


def _manifest(entries: _Entries) -> dict[str, object]:
    return {
        "format": FORMAT,
        "version": metadata.version("neurosieve"),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": {path: [one.sha256, one.size_bytes] for path, one in entries.items()},
    }


def _read_manifest(source: Path) -> _Entries:
    try:
        told = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
        known, files = told["format"], told["files"].items()
        entries = {str(path): _Entry(sha256=one[0], size_bytes=one[1]) for path, one in files}
    except FileNotFoundError as error:
        raise DamagedBackup(f"{source} is no backup, or one that was broken off.") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DamagedBackup(f"The manifest of {source} cannot be read.") from error
    if known != FORMAT:
        raise DamagedBackup(f"{source} was made by another, newer NeuroSieve.")
    return entries

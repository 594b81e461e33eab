"""The model folders that a node keeps, so that an upgrade cannot take an earlier model away."""

import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from agent import inference, model_toml
from agent.errors import UnusableModel
from agent.model_toml import ModelDescription
from storage.enums import Origin
from storage.model_records import ModelVersion

FOLDER = "models"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


class Shelf(Protocol):
    """Where all hosts find model folders; `storage.objects` has one."""

    def keep_folder(self, relative: str, folder: Path, *, last: str) -> None:
        """Keep a folder that never changes; the file `last` says that all of it is there."""

    def fetch_folder(self, relative: str, target: Path, *, last: str) -> bool:
        """Put a folder that was kept into an empty one; False where it is not there."""


class ModelStore:
    """Model folders under `<data_dir>/models/<name>/<version>`, each written once.

    `sequence` is the one that the node reads; models made for another are refused. Hosts with a
    bucket share them through that: what one adopts, another fetches when it first needs it.
    """

    def __init__(self, data_dir: Path, *, sequence: str, shelf: Shelf | None = None) -> None:
        self._data_dir = data_dir
        self._sequence = sequence
        self._shelf = shelf

    def adopt(self, source: Path, origin: Origin) -> ModelVersion:
        """Copy a model folder here after it was checked and loaded; repeating it is harmless.

        Raises UnusableModel for a folder that does not load, whose graphs are not those it
        describes, or that was made for another sequence.
        """
        described = model_toml.describe(source)
        self.check_sequence(described)
        target = self._place_of(described)
        with self._lock():
            if not (target / model_toml.FILE_NAME).exists():
                inference.load(source, provider=inference.Provider.CPU)
                _copy(source, target)
            if self._shelf is not None:
                relative = target.relative_to(self._data_dir).as_posix()
                self._shelf.keep_folder(relative, target, last=model_toml.FILE_NAME)
        return ModelVersion(
            name=described.name,
            version=described.version,
            sha256=described.digest,
            folder=target.relative_to(self._data_dir).as_posix(),
            origin=origin,
            sequence=described.sequence,
            registered_at=datetime.now(UTC),
        )

    def folder_of(self, version: ModelVersion) -> Path:
        """Where a model lies; earlier versions of the node wrote whole paths."""
        folder = self._data_dir / version.folder
        if self._shelf is not None and not folder.exists():
            self._fetch(self._shelf, version.folder, folder)
        return folder

    def verify(self, version: ModelVersion) -> ModelDescription:
        """What the folder of a version says, if its graphs are still those that were registered.

        Raises UnusableModel otherwise.
        """
        folder = self.folder_of(version)
        described = model_toml.describe(folder)
        inference.checked(folder / inference.GRAPH_FILE, described.sha256)
        inference.checked(folder / inference.BRAIN_FILE, described.brain_sha256)
        serving = inference.serving_graph(folder, described)
        inference.checked(serving, inference.sha256_of(serving, described))
        check_digest(described, version)
        self.check_sequence(described)
        return described

    def check_sequence(self, described: ModelDescription) -> None:
        """Refuse a model that this node could only misuse."""
        if described.sequence.casefold() != self._sequence.casefold():
            raise UnusableModel(
                f"Model {described.name} {described.version} was made for {described.sequence}, "
                f"and this node reads {self._sequence} (series.sequence in the configuration)."
            )

    def _place_of(self, described: ModelDescription) -> Path:
        for part in (described.name, described.version):
            if not _NAME.fullmatch(part):
                raise UnusableModel(
                    f'A model cannot be kept under "{part}": name and version take letters, '
                    "digits, dots, dashes, underscores and plus signs, at most 64."
                )
        return self._data_dir / FOLDER / described.name / described.version

    def _fetch(self, shelf: Shelf, relative: str, folder: Path) -> None:
        with self._lock():
            partial = _partial(folder)
            shutil.rmtree(partial, ignore_errors=True)
            if not folder.exists() and shelf.fetch_folder(
                relative, partial, last=model_toml.FILE_NAME
            ):
                partial.replace(folder)

    def _lock(self) -> FileLock:
        folder = self._data_dir / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / ".lock")


def check_digest(described: ModelDescription, version: ModelVersion) -> None:
    """Refuse a folder that holds something else than what was registered."""
    if described.digest != version.sha256:
        raise UnusableModel(
            f"The folder of model {version.label} has changed since it was registered: its sha256 "
            f"is {described.digest[:12]}…, expected {version.sha256[:12]}…. Import it anew under "
            "another version, or put the folder back."
        )


def _copy(source: Path, target: Path) -> None:
    """Copy a folder so that it is there as a whole or not at all, also after a loss of power."""
    partial = _partial(target)
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial)
    for path in partial.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    partial.replace(target)


def _partial(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")

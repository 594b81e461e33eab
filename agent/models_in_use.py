"""The models that read studies: the one in force, the one on trial, and any that was named.

What is in force is looked up before every study, so that a change needs no restart. Graphs stay
loaded while they are used.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy.orm import Session

from agent import inference, model_store, model_toml
from agent.errors import ConfigurationError
from agent.imaging.findings import Thresholds
from agent.inference import OnnxModel, Provider
from agent.model_store import ModelStore
from agent.model_toml import ModelDescription
from storage import activations, registry, thresholds
from storage.database import Database
from storage.model_records import ModelVersion, ThresholdSet
from storage.records import Analysis

MOST_LOADED = 3  # in force, on trial, and one that was named


class Models:
    """Gives models by what they are used for."""

    def __init__(
        self,
        *,
        database: Database,
        store: ModelStore,
        provider: Provider,
        threads: int | None,
        device: int = 0,
    ) -> None:
        self._database = database
        self._store = store
        self._provider = provider
        self._threads = threads
        self._device = device
        self._loaded: dict[Path, OnnxModel] = {}
        self._loading = threading.Lock()  # studies that begin together share one graph
        self._latest: OnnxModel | None = None

    def __call__(self, folder: str | None) -> OnnxModel:
        """The model in a folder with the thresholds written there; for None the one in force."""
        if folder is not None:
            model = self._load(Path(folder))
            self._store.check_sequence(model.description)
            return model
        with self._database.read() as session:
            version, made = in_force(session)
        self._latest = self.of(version, made)
        return self._latest

    def on_trial(self) -> OnnxModel | None:
        """The shadow, with the newest thresholds made for it; None where there is none."""
        with self._database.read() as session:
            version = registry.shadow(session)
            made = thresholds.latest(session, version.name, version.version) if version else None
        return self.of(version, made) if version else None

    def that_read(self, analysis: Analysis) -> OnnxModel:
        """The model and the thresholds that an analysis rests on.

        Raises NotFound for a model that is not known any more, ConfigurationError for thresholds
        that are not.
        """
        with self._database.read() as session:
            version = registry.get(session, analysis.model_name, analysis.model_version)
            made = thresholds.history(session, version.name, version.version)
        model = self.of(version, None)
        found = under_version(model.description, made, analysis.threshold_version)
        if found is None:
            raise ConfigurationError(
                f"The thresholds {analysis.threshold_version} of {version.label} are not kept here."
            )
        return model.under(found[0])

    def at_hand(self) -> OnnxModel:
        """The model that was last in force: to name one in a report when none can be loaded."""
        return self._latest or self(None)

    def of(self, version: ModelVersion, made: ThresholdSet | None) -> OnnxModel:
        """A registered model under the thresholds made for it, or its own."""
        model = self._load(self._store.folder_of(version))
        model_store.check_digest(model.description, version)
        return model if made is None else model.under(with_thresholds(model.description, made))

    def _load(self, folder: Path) -> OnnxModel:
        with self._loading:
            if folder not in self._loaded:
                loaded = inference.load(
                    folder, provider=self._provider, threads=self._threads, device=self._device
                )
                while len(self._loaded) >= MOST_LOADED:
                    self._loaded.pop(next(iter(self._loaded)))
                self._loaded[folder] = loaded
            return self._loaded[folder]


def in_force(session: Session) -> tuple[ModelVersion, ThresholdSet | None]:
    """What reads studies now, with the thresholds made for it, None for its own."""
    current = activations.in_force(session)
    if current is None:
        raise ConfigurationError("No model is active; `neurosieve models activate` one.")
    made = thresholds.get(session, current.thresholds) if current.thresholds else None
    return registry.get(session, current.model_name, current.model_version), made


def described_in_force(session: Session, store: ModelStore) -> ModelDescription:
    """What the model in force says of itself, under its thresholds; no graph is loaded."""
    version, made = in_force(session)
    described = model_toml.describe(store.folder_of(version))
    model_store.check_digest(described, version)
    return described if made is None else with_thresholds(described, made)


def under_version(
    own: ModelDescription, made: Sequence[ThresholdSet], version: str
) -> tuple[ModelDescription, ThresholdSet | None] | None:
    """A model under those of its thresholds that bear a name, None where none of them does."""
    for candidate in (None, *made):
        described = own if candidate is None else with_thresholds(own, candidate)
        if described.thresholds.version == version:
            return described, candidate
    return None


def with_thresholds(described: ModelDescription, made: ThresholdSet) -> ModelDescription:
    """The description of a model with thresholds that were made for it later."""
    own = described.slice_reference, described.study_reference
    return replace(
        described,
        thresholds=Thresholds(
            pixel=made.pixel,
            slice=made.slice,
            minimum_volume_ml=made.minimum_volume_ml,
            version=made.version,
        ),
        operating_point=made.operating_point,
        slice_reference=own[0] if made.slice_reference is None else made.slice_reference,
        study_reference=own[1] if made.study_reference is None else made.study_reference,
    )

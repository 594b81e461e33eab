"""Which model reads the next study: looked up each time, loaded once, and never a changed one."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent import inference, models_in_use
from agent.errors import ConfigurationError, UnusableModel
from agent.inference import Provider
from agent.model_store import ModelStore
from agent.models_in_use import MOST_LOADED, Models
from model_folders import changed
from storage import activations, registry, thresholds
from storage.database import Database
from storage.enums import Origin
from storage.errors import NotFound
from storage.model_records import ModelVersion, ThresholdSet
from verdicts import ANALYSIS

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Node:
    """A database, a store and the models in use, as `bootstrap` puts them together."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.store = ModelStore(folder / "data", sequence="FLAIR")
        self.models = Models(database=database, store=self.store, provider=Provider.CPU, threads=1)

    def bring(self, version: str, *, residual: str | None = None) -> ModelVersion:
        source = changed(self.folder / f"source {version}", version=version, residual=residual)
        adopted = self.store.adopt(source, Origin.IMPORTED)
        with self.database.begin() as session:
            return registry.register(session, adopted)

    def activate(self, version: ModelVersion) -> None:
        with self.database.begin() as session:
            activations.activate(session, version, by="ada", why="", now=NOW)

    def roll_back(self) -> None:
        with self.database.begin() as session:
            activations.rollback(session, by="ada", why="", now=NOW)

    def set_thresholds(
        self, version: ModelVersion, slice_score: float, reference: tuple[float, ...] | None = None
    ) -> ThresholdSet:
        made = ThresholdSet(
            model_name=version.name,
            model_version=version.version,
            version=f"slice {slice_score:g}",
            pixel=0.5,
            slice=slice_score,
            minimum_volume_ml=0.7,
            slice_reference=reference,
            study_reference=reference,
            operating_point="by hand",
            made_at=NOW,
            made_by="ada",
            why="",
        )
        with self.database.begin() as session:
            kept = thresholds.add(session, made)
            activations.use_thresholds(session, kept)
        return kept

    def reads(self) -> tuple[str, str]:
        """The version and the thresholds that the next study is read with."""
        described = self.models(None).description
        return described.version, described.thresholds.version


@pytest.fixture
def node(database: Database, tmp_path: Path) -> Node:
    return Node(database, tmp_path)


def test_without_an_active_model_the_way_on_is_said(node: Node) -> None:
    with pytest.raises(ConfigurationError, match="neurosieve models activate"):
        node.models(None)


def test_every_change_holds_from_the_next_study_on(node: Node) -> None:
    first, second = node.bring("8.0.0"), node.bring("9.0.0", residual="1.6")
    node.activate(first)
    (_, own) = node.reads()
    node.activate(second)
    assert node.reads()[0] == "9.0.0"
    node.set_thresholds(second, 2.5)
    assert node.reads() == ("9.0.0", "slice 2.5")
    node.roll_back()
    assert node.reads()[0] == "9.0.0"
    assert node.reads()[1] != "slice 2.5"
    node.roll_back()
    assert node.reads() == ("8.0.0", own)


def test_thresholds_of_a_site_replace_those_of_the_folder_and_references_only_if_made(
    node: Node,
) -> None:
    version = node.bring("9.0.0")
    node.activate(version)
    own = node.models(None).description
    node.set_thresholds(version, 2.5)
    by_hand = node.models(None).description
    assert (by_hand.thresholds.slice, by_hand.thresholds.minimum_volume_ml) == (2.5, 0.7)
    assert by_hand.slice_reference == own.slice_reference
    node.set_thresholds(version, 2.6, (1.0, 2.0))
    calibrated = node.models(None).description
    assert calibrated.slice_reference == calibrated.study_reference == (1.0, 2.0)
    assert calibrated.digest == own.digest


def test_the_model_on_trial_comes_with_the_newest_thresholds_made_for_it(node: Node) -> None:
    active, trial = node.bring("8.0.0"), node.bring("9.0.0", residual="1.6")
    node.activate(active)
    assert node.models.on_trial() is None
    node.set_thresholds(trial, 2.4)
    node.set_thresholds(trial, 2.5)
    with node.database.begin() as session:
        registry.set_shadow(session, trial)
    tried = node.models.on_trial()
    assert tried is not None
    assert (tried.description.version, tried.description.thresholds.slice) == ("9.0.0", 2.5)
    assert node.reads()[0] == "8.0.0"


def test_a_folder_that_changed_after_it_was_registered_is_not_used(node: Node) -> None:
    version = node.bring("9.0.0")
    node.activate(version)
    other = changed(node.folder / "other", version="9.0.0", residual="1.6")
    (node.store.folder_of(version) / "model.toml").write_bytes((other / "model.toml").read_bytes())
    with pytest.raises(UnusableModel, match="changed since it was registered"):
        node.models(None)


def test_a_named_folder_is_read_with_its_own_thresholds(node: Node) -> None:
    version = node.bring("9.0.0")
    node.activate(version)
    node.set_thresholds(version, 2.5)
    named = node.models(str(inference.default_folder()))
    assert named.description.thresholds.version != "slice 2.5"
    other = changed(node.folder / "t1", version="1", sequence="T1")
    with pytest.raises(UnusableModel, match="made for T1"):
        node.models(str(other))


def test_a_model_is_at_hand_when_the_wanted_one_is_not(node: Node) -> None:
    version = node.bring("9.0.0")
    node.activate(version)
    assert node.models.at_hand().description.version == "9.0.0"
    with pytest.raises(UnusableModel):
        node.models("/nowhere")
    assert node.models.at_hand().description.version == "9.0.0"


def test_an_analysis_leads_back_to_the_thresholds_it_rests_on(node: Node) -> None:
    version = node.bring("9.0.0")
    node.activate(version)
    (_, own) = node.reads()
    node.set_thresholds(version, 2.5)
    node.set_thresholds(version, 2.6)
    said = replace(ANALYSIS, model_name=version.name, model_version=version.version)
    for threshold_version in (own, "slice 2.5", "slice 2.6"):
        that = node.models.that_read(replace(said, threshold_version=threshold_version))
        assert that.description.thresholds.version == threshold_version
    with pytest.raises(ConfigurationError, match="are not kept here"):
        node.models.that_read(replace(said, threshold_version="lost"))
    with pytest.raises(NotFound):
        node.models.that_read(replace(said, model_version="7.0.0"))


def test_graphs_stay_loaded_but_not_more_than_are_needed(node: Node, loads: list[Path]) -> None:
    versions = [node.bring(f"{number}.0.0") for number in range(MOST_LOADED + 1)]
    loads.clear()
    for version in versions[:MOST_LOADED] * 2:
        node.models.of(version, None)
    assert len(loads) == MOST_LOADED
    node.models.of(versions[-1], None)
    node.models.of(versions[1], None)
    assert len(loads) == MOST_LOADED + 1
    node.models.of(versions[0], None)
    assert len(loads) == MOST_LOADED + 2


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose graphs were loaded, in order."""
    seen: list[Path] = []
    load = inference.load

    def noted(folder: Path, **options: object) -> inference.OnnxModel:
        seen.append(folder)
        return load(folder, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(inference, "load", noted)
    return seen


def test_what_is_in_force_is_described_without_loading_a_graph(
    node: Node, loads: list[Path]
) -> None:
    version = node.bring("9.0.0")
    node.activate(version)
    node.set_thresholds(version, 2.5)
    loads.clear()
    with node.database.read() as session:
        described = models_in_use.described_in_force(session, node.store)
    assert (described.version, described.thresholds.slice) == ("9.0.0", 2.5)
    assert loads == []

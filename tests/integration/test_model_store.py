"""The model folders that a node keeps: copied whole, once, and checked before each use."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent import inference, model_toml
from agent.errors import UnusableModel
from agent.model_store import ModelStore
from model_folders import changed
from storage.bucket import Bucket
from storage.enums import Origin
from storage.objects import ObjectStore


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "data", sequence="FLAIR")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return changed(tmp_path / "source", version="9.0.0")


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its place."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_model_is_copied_whole_under_its_name_and_version(
    store: ModelStore, source: Path, tmp_path: Path
) -> None:
    (source / "figures").mkdir()
    (source / "figures" / "roc.png").write_bytes(b"picture")
    version = store.adopt(source, Origin.IMPORTED)
    described = model_toml.describe(source)
    assert version.folder == "models/flair-dae-gan/9.0.0"
    assert store.folder_of(version) == tmp_path / "data" / version.folder
    assert files(store.folder_of(version)) == files(source)
    assert (version.label, version.sha256) == ("flair-dae-gan@9.0.0", described.digest)
    assert (version.origin, version.sequence) == (Origin.IMPORTED, "FLAIR")


def test_the_nodes_copy_lives_on_without_its_source(store: ModelStore, source: Path) -> None:
    version = store.adopt(source, Origin.IMPORTED)
    described = model_toml.describe(source)
    shutil.rmtree(source)
    assert store.verify(version) == described


def test_what_is_kept_is_never_written_again(store: ModelStore, source: Path) -> None:
    """The copy stands, and the folder that has changed since is known by another sha256."""
    first = store.adopt(source, Origin.SHIPPED)
    before = files(store.folder_of(first))
    again = store.adopt(changed_fusion(source), Origin.IMPORTED)
    assert again.folder == first.folder
    assert again.sha256 != first.sha256
    assert files(store.folder_of(first)) == before
    with pytest.raises(UnusableModel, match="has changed since it was registered"):
        store.verify(again)


def test_an_interrupted_copy_is_made_anew(store: ModelStore, source: Path, tmp_path: Path) -> None:
    torn = tmp_path / "data" / "models" / "flair-dae-gan" / ".9.0.0.part"
    torn.mkdir(parents=True)
    (torn / inference.GRAPH_FILE).write_bytes(b"the first half")
    (torn / "left behind").write_bytes(b"")
    version = store.adopt(source, Origin.IMPORTED)
    assert files(store.folder_of(version)) == files(source)
    assert not torn.exists()


@pytest.mark.parametrize("graph", [inference.GRAPH_FILE, inference.BRAIN_FILE])
def test_a_folder_whose_graph_is_another_is_not_adopted(
    store: ModelStore, source: Path, tmp_path: Path, graph: str
) -> None:
    (source / graph).write_bytes(b"another graph")
    with pytest.raises(UnusableModel, match="sha256"):
        store.adopt(source, Origin.IMPORTED)
    assert not (tmp_path / "data" / "models" / "flair-dae-gan").exists()


@pytest.mark.parametrize("graph", [inference.GRAPH_FILE, inference.BRAIN_FILE])
def test_a_kept_folder_whose_graph_was_changed_is_refused(
    store: ModelStore, source: Path, graph: str
) -> None:
    version = store.adopt(source, Origin.IMPORTED)
    kept = store.folder_of(version) / graph
    kept.write_bytes(kept.read_bytes() + b"x")
    with pytest.raises(UnusableModel, match=f"{graph}.*sha256"):
        store.verify(version)


def lose_graph(folder: Path) -> None:
    (folder / inference.GRAPH_FILE).unlink()


def lose_description(folder: Path) -> None:
    (folder / model_toml.FILE_NAME).unlink()


@pytest.mark.parametrize("lose", [lose_graph, lose_description, shutil.rmtree])
def test_a_kept_folder_that_is_not_whole_is_refused(
    store: ModelStore, source: Path, lose: Callable[[Path], None]
) -> None:
    version = store.adopt(source, Origin.IMPORTED)
    lose(store.folder_of(version))
    with pytest.raises(UnusableModel, match="cannot be read"):
        store.verify(version)


def test_a_description_that_answers_otherwise_is_refused(store: ModelStore, source: Path) -> None:
    """The same graphs with other weights of the maps are another model."""
    version = store.adopt(source, Origin.IMPORTED)
    changed_fusion(store.folder_of(version))
    with pytest.raises(UnusableModel, match=r"changed since it was registered.*another version"):
        store.verify(version)


def test_a_model_for_another_sequence_is_refused_also_when_it_is_kept(
    source: Path, tmp_path: Path
) -> None:
    version = ModelStore(tmp_path / "data", sequence="flair").adopt(source, Origin.IMPORTED)
    other = ModelStore(tmp_path / "data", sequence="T1")
    for refuse in (lambda: other.verify(version), lambda: other.adopt(source, Origin.IMPORTED)):
        with pytest.raises(UnusableModel, match="made for FLAIR, and this node reads T1"):
            refuse()


def test_a_whole_path_of_an_earlier_node_still_leads_to_the_model(
    store: ModelStore, source: Path
) -> None:
    version = replace(store.adopt(source, Origin.CONFIGURED), folder=source.as_posix())
    assert store.folder_of(version) == source
    assert store.verify(version) == model_toml.describe(source)


def changed_fusion(folder: Path) -> Path:
    """The folder, whose model now weighs its maps in another way."""
    other = changed(folder.parent / "other fusion", version="9.0.0", residual="1.6")
    shutil.copyfile(other / model_toml.FILE_NAME, folder / model_toml.FILE_NAME)
    shutil.rmtree(other)
    return folder


def test_a_model_that_one_host_adopts_is_fetched_by_another(bucket: Bucket, tmp_path: Path) -> None:
    stores = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        shelf = ObjectStore(bucket, tmp_path / name, cache_bytes=1_000_000)
        stores.append(ModelStore(tmp_path / name, sequence="FLAIR", shelf=shelf))
    version = stores[0].adopt(inference.default_folder(), Origin.SHIPPED)
    assert stores[1].verify(version).digest == version.sha256
    assert not list((tmp_path / "other").rglob("*.part"))


def test_half_a_model_in_the_bucket_is_none(bucket: Bucket, tmp_path: Path) -> None:
    shelf = ObjectStore(bucket, tmp_path, cache_bytes=1_000_000)
    version = ModelStore(tmp_path / "one", sequence="FLAIR", shelf=shelf).adopt(
        inference.default_folder(), Origin.SHIPPED
    )
    bucket.delete(f"{version.folder}/model.toml")
    with pytest.raises(UnusableModel):
        ModelStore(tmp_path / "other", sequence="FLAIR", shelf=shelf).verify(version)

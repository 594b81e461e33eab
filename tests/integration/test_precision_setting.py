"""`model.precision` in the configuration: which model a node begins with."""

import logging
from pathlib import Path

import pytest

import model_folders
from agent import inference
from agent.bootstrap import kept, reading
from agent.errors import UnusableModel
from agent.settings import ModelSettings, NodeSettings, Settings
from storage import registry


def settings(tmp_path: Path, **model: object) -> Settings:
    return Settings(
        node=NodeSettings(data_dir=tmp_path / "data"), model=ModelSettings.model_validate(model)
    )


def test_a_node_that_begins_with_int8_reads_with_it_and_says_so(tmp_path: Path) -> None:
    values = settings(tmp_path, precision="int8", threads=1)
    model = reading.open_models(values, kept.open_storage(values))(None)
    assert model.description.version.endswith("+int8")
    assert model.runtime.endswith("CPUExecutionProvider int8")


def test_a_node_that_read_with_fp32_goes_on_until_int8_is_activated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = settings(tmp_path, threads=1)
    storage = kept.open_storage(before)
    reading.open_models(before, storage)
    with caplog.at_level(logging.WARNING):
        models = reading.open_models(settings(tmp_path, precision="int8", threads=1), storage)
    assert models(None).runtime.endswith("CPUExecutionProvider")
    assert "models activate" in caplog.text
    with storage.database.read() as session:
        known = [version.version for version in registry.list_versions(session)]
    assert [version.partition("+")[2] for version in sorted(known)] == ["", "int8"]


def test_a_model_without_the_wanted_precision_is_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = model_folders.changed(tmp_path / "model")
    with pytest.raises(UnusableModel, match="neurosieve-train precision int8"):
        reading.model_folder(settings(tmp_path, folder=folder, precision="int8"))


def test_without_a_wanted_precision_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    int8 = inference.default_folder() / "int8"
    assert reading.model_folder(settings(tmp_path, folder=int8)) == int8
    assert reading.model_folder(settings(tmp_path)) == inference.default_folder()

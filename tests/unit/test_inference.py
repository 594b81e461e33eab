"""Loading the shipped model folder and damaged copies of it."""

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from agent import inference
from agent.errors import UnusableModel
from agent.inference import OnnxModel, Provider


@pytest.fixture(scope="module")
def model() -> OnnxModel:
    return inference.load(inference.default_folder(), provider=Provider.CPU, threads=1)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A model folder that a test may damage."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in (inference.GRAPH_FILE, inference.DESCRIPTION_FILE):
        shutil.copyfile(inference.default_folder() / name, folder / name)
    return folder


def test_the_shipped_model_describes_itself(model: OnnxModel) -> None:
    described = model.description
    assert (described.sequence, described.plane) == ("FLAIR", "axial")
    assert described.thresholds.pixel > 0
    assert len(described.thresholds.version) == 12
    assert list(described.slice_reference) == sorted(described.slice_reference)
    assert len(described.study_reference) >= 10


def test_batches_and_single_slices_agree(model: OnnxModel) -> None:
    slices = np.random.default_rng(0).random((19, 1, 128, 128), dtype=np.float32)
    positions = np.linspace(0, 1, 19, dtype=np.float32)
    together = model.run(slices, positions)
    alone = model.run(slices[17:18], positions[17:18])
    assert together.residual_z.shape == (19, 128, 128)
    np.testing.assert_allclose(together.restoration[17], alone.restoration[0], atol=1e-4)
    np.testing.assert_allclose(
        together.residual[3], slices[3, 0] - together.restoration[3], atol=1e-6
    )


def test_the_height_of_a_slice_decides_what_is_normal_there(model: OnnxModel) -> None:
    slices = np.full((2, 1, 128, 128), 0.4, dtype=np.float32)
    answer = model.run(slices, np.array([0.1, 0.8], dtype=np.float32))
    np.testing.assert_allclose(answer.residual[0], answer.residual[1], atol=1e-5)
    assert np.abs(answer.residual_z[0] - answer.residual_z[1]).max() > 0.1


def test_a_damaged_graph_is_refused(copied: Path) -> None:
    graph = copied / inference.GRAPH_FILE
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    with pytest.raises(UnusableModel, match="sha256"):
        inference.load(copied)


def test_a_missing_graph_is_named(copied: Path) -> None:
    (copied / inference.GRAPH_FILE).unlink()
    with pytest.raises(UnusableModel, match=r"model\.onnx cannot be read"):
        inference.load(copied)


@pytest.mark.parametrize(
    ("old", "new"), [("[thresholds]", "[limits]"), ('sha256 = "', "sha256 = "), ("pixel", "pix")]
)
def test_an_incomplete_description_is_refused(copied: Path, old: str, new: str) -> None:
    path = copied / inference.DESCRIPTION_FILE
    path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")
    with pytest.raises(UnusableModel, match="incomplete"):
        inference.load(copied)


def test_loading_says_which_provider_runs(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="agent.inference"):
        inference.load(inference.default_folder(), provider=Provider.CPU)
    assert "CPUExecutionProvider" in caplog.text
    assert [record.__dict__["action"] for record in caplog.records] == ["model_loaded"]


@pytest.mark.skipif(inference.gpu_is_visible(), reason="this machine has a GPU")
def test_without_a_gpu_nothing_is_printed_and_the_cpu_runs(
    capfd: pytest.CaptureFixture[str],
) -> None:
    model = inference.load(inference.default_folder())
    assert model.runtime.endswith("CPUExecutionProvider")
    assert capfd.readouterr().err == ""


def test_a_hidden_gpu_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "")
    assert not inference.gpu_is_visible()


def test_a_threshold_set_has_one_name() -> None:
    assert inference.thresholds_version(0.1, 2.0, 0.5) == inference.thresholds_version(
        0.1, 2.0, 0.5
    )
    assert inference.thresholds_version(0.1, 2.0, 0.5) != inference.thresholds_version(
        0.1, 2.0, 0.6
    )

"""Loading the shipped model folder and damaged copies of it."""

import hashlib
import logging
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

import model_folders
import shipped
from agent import inference, model_toml
from agent.errors import UnusableModel
from agent.imaging import brain
from agent.imaging.scoring import Kind
from agent.inference import Graph, OnnxModel, Provider
from agent.model_toml import Precision


@pytest.fixture(scope="module")
def model() -> OnnxModel:
    return inference.load(inference.default_folder(), provider=Provider.CPU, threads=1)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A model folder that a test may damage."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in (inference.GRAPH_FILE, inference.BRAIN_FILE, model_toml.FILE_NAME):
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
    size, context = model.description.size, model.description.context
    slices = np.random.default_rng(0).random((19, context, size, size), dtype=np.float32)
    positions = np.linspace(0, 1, 19, dtype=np.float32)
    together = model.run(slices, positions)
    alone = model.run(slices[17:18], positions[17:18])
    assert together.raw.shape == together.deviations.shape == (19, len(Kind), size, size)
    np.testing.assert_allclose(together.restoration[17], alone.restoration[0], atol=1e-4)
    residual = np.maximum(slices[3, context // 2] - together.restoration[3], 0)
    np.testing.assert_allclose(together.raw[3, 0], residual, atol=1e-5)


def test_the_height_of_a_slice_decides_what_is_normal_there(model: OnnxModel) -> None:
    size, context = model.description.size, model.description.context
    slices = np.full((2, context, size, size), 0.4, dtype=np.float32)
    answer = model.run(slices, np.array([0.1, 0.8], dtype=np.float32))
    np.testing.assert_allclose(answer.raw[0], answer.raw[1], atol=1e-5)
    assert np.abs(answer.deviations[0] - answer.deviations[1]).max() > 0.1


def test_the_brain_graph_answers_one_probability_a_pixel(model: OnnxModel) -> None:
    slices = np.zeros((17, brain.CONTEXT, brain.SIZE, brain.SIZE), dtype=np.float32)
    probability = model.find_brain(slices)
    assert probability.shape == (17, brain.SIZE, brain.SIZE)
    assert 0 <= probability.min() <= probability.max() < 0.5


@pytest.mark.parametrize("name", [inference.GRAPH_FILE, inference.BRAIN_FILE])
def test_a_damaged_graph_is_refused(copied: Path, name: str) -> None:
    graph = copied / name
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    with pytest.raises(UnusableModel, match="sha256"):
        inference.load(copied)


def test_a_missing_graph_is_named(copied: Path) -> None:
    (copied / inference.GRAPH_FILE).unlink()
    with pytest.raises(UnusableModel, match=r"model\.onnx cannot be read"):
        inference.load(copied)


def test_what_is_no_graph_is_refused_with_a_sentence(copied: Path) -> None:
    graph, described = copied / inference.GRAPH_FILE, copied / model_toml.FILE_NAME
    graph.write_bytes(b"no graph")
    text = described.read_text("utf-8")
    digest = hashlib.sha256(b"no graph").hexdigest()
    old = model_toml.describe(copied).sha256
    described.write_text(text.replace(old, digest), "utf-8")
    with pytest.raises(UnusableModel, match=r"model\.onnx does not load"):
        inference.load(copied)


@pytest.mark.parametrize(
    ("old", "new"), [("[thresholds]", "[limits]"), ('sha256 = "', "sha256 = "), ("pixel", "pix")]
)
def test_an_incomplete_description_is_refused(copied: Path, old: str, new: str) -> None:
    path = copied / model_toml.FILE_NAME
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


def test_the_graphs_go_to_the_chosen_card(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def session(graph: bytes, options: object, providers: list[object]) -> NoReturn:
        asked.append(providers[0])
        raise RuntimeError("no card here")

    monkeypatch.setattr("onnxruntime.InferenceSession", session)
    with pytest.raises(UnusableModel):
        inference.load(inference.default_folder(), provider=inference.Provider.CUDA, device=1)
    options = {"device_id": "1"} | inference.cuda_options(Precision.FP32)
    assert asked == [(inference.CUDA, options)]


def test_a_hidden_gpu_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "")
    assert not inference.gpu_is_visible()


@pytest.mark.parametrize(
    "changed", [{"sha256": "a" * 64}, {"brain_sha256": "b" * 64}, {"fusion": shipped.RESIDUAL_ONLY}]
)
def test_another_graph_brain_network_or_fusion_is_another_model(
    model: OnnxModel, changed: dict[str, Any]
) -> None:
    assert replace(model.description, **changed).digest != model.description.digest


def test_a_new_version_name_alone_is_no_other_model(model: OnnxModel) -> None:
    assert replace(model.description, version="9").digest == model.description.digest


def test_a_threshold_set_has_one_name() -> None:
    assert model_toml.thresholds_version(0.1, 2.0, 0.5) == model_toml.thresholds_version(
        0.1, 2.0, 0.5
    )
    assert model_toml.thresholds_version(0.1, 2.0, 0.5) != model_toml.thresholds_version(
        0.1, 2.0, 0.6
    )


INT8 = inference.default_folder() / Precision.INT8


def test_the_int8_model_is_another_model_that_says_what_it_is(model: OnnxModel) -> None:
    fast = inference.load(INT8, threads=1)
    assert fast.description.name == model.description.name
    assert fast.description.version == f"{model.description.version}+int8"
    assert fast.description.digest != model.description.digest
    assert fast.description.thresholds.version != model.description.thresholds.version
    assert fast.runtime == f"{model.runtime} int8"


def test_a_precision_alone_makes_another_model(model: OnnxModel) -> None:
    rounded = replace(model.description, precision=Precision.TF32)
    assert rounded.digest != model.description.digest


def test_int8_answers_what_fp32_answers(model: OnnxModel) -> None:
    size, context = model.description.size, model.description.context
    slices = np.random.default_rng(0).random((5, context, size, size), dtype=np.float32)
    positions = np.linspace(0, 1, 5, dtype=np.float32)
    exact, fast = (one.run(slices, positions) for one in (model, inference.load(INT8, threads=1)))
    assert 1e-4 < np.abs(fast.restoration - exact.restoration).max() < 0.2
    assert np.abs(fast.restoration - exact.restoration).mean() < 0.02


def test_a_damaged_int8_graph_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(INT8, tmp_path / "int8")
    graph = folder / inference.GRAPH_FILE
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    with pytest.raises(UnusableModel, match="sha256"):
        inference.load(folder)


def test_a_precision_is_found_in_the_model_folder_or_missed_with_a_sentence(
    copied: Path,
) -> None:
    shipped_folder = inference.default_folder()
    assert model_toml.at_precision(shipped_folder, Precision.INT8) == INT8
    assert model_toml.at_precision(INT8, Precision.INT8) == INT8
    assert model_toml.at_precision(copied, Precision.FP32) == copied
    with pytest.raises(UnusableModel, match="has no int8: make it with `neurosieve-train"):
        model_toml.at_precision(copied, Precision.INT8)


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    folder = model_folders.changed(tmp_path / "model")
    file = folder / model_toml.FILE_NAME
    file.write_text(file.read_text("utf-8").replace("[model]", '[model]\nprecision = "int4"', 1))
    with pytest.raises(UnusableModel, match="int4"):
        model_toml.describe(folder)


def test_int8_is_for_processors() -> None:
    assert inference.wanted_providers(Provider.AUTO, Precision.INT8) == [inference.CPU]
    with pytest.raises(UnusableModel, match="runs on a CPU only"):
        inference.load(INT8, provider=Provider.CUDA)


def test_cuda_rounds_to_tf32_only_where_a_folder_says_so() -> None:
    for precision, rounds in ((Precision.FP32, "0"), (Precision.FP16, "0"), (Precision.TF32, "1")):
        assert inference.cuda_options(precision)["use_tf32"] == rounds
        options = {"device_id": "0"} | inference.cuda_options(precision)
        wanted = [(inference.CUDA, options), inference.CPU]
        assert inference.wanted_providers(Provider.CUDA, precision) == wanted


def test_a_bound_graph_answers_what_a_plain_run_answers(model: OnnxModel) -> None:
    path = inference.default_folder() / inference.BRAIN_FILE
    session = inference.open_session(path.read_bytes(), Provider.CPU, 1, path)
    count = inference.CPU_BATCH + 3
    slices = np.random.default_rng(0).random(
        (count, brain.CONTEXT, brain.SIZE, brain.SIZE), dtype=np.float32
    )
    strided = np.repeat(slices, 2, axis=0)[::2]
    bound = Graph(session)({"slices": strided}, {"probability": (brain.SIZE, brain.SIZE)})[
        "probability"
    ]
    assert np.array_equal(bound, session.run(["probability"], {"slices": slices})[0])


def test_studies_in_flight_at_once_get_the_answers_they_get_alone(model: OnnxModel) -> None:
    size, context = model.description.size, model.description.context
    slices = np.random.default_rng(0).random((6, context, size, size), dtype=np.float32)
    positions = np.linspace(0, 1, 6, dtype=np.float32)
    alone = model.run(slices, positions)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: model.run(slices, positions), range(8)))
    assert all(np.array_equal(one.raw, alone.raw) for one in together)
    assert all(np.array_equal(one.deviations, alone.deviations) for one in together)

"""`neurosieve-train precision`: graphs, thresholds and accuracy of a faster precision."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from typer.testing import CliRunner

import drawn_collections
import model_folders
from agent import inference, model_toml
from agent.errors import UnusableModel
from agent.imaging import scoring
from agent.imaging.scoring import Fusion, Maps
from agent.inference import OnnxModel, Provider
from agent.model_toml import Precision
from model_training.cli import app
from model_training.evaluation.scoresheets import Scoresheet, patient_scores
from model_training.precisions import accuracy, half, lean, making, quantise
from model_training.precisions.accuracy import Measured

ALL_KINDS = Fusion(map_weights=(1, 1, 1, 1), score_weights=(1, 1, 1, 1))


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn heads under the names of the collections that the default recipe reads."""
    root = tmp_path_factory.mktemp("data")
    splits = ["train", "calibration", "calibration"]
    drawn_collections.write(root / "lgg_flair", splits, lesion_radius_mm=16.0)
    drawn_collections.write(root / "tumour_free_flair", splits, mask="wmh.nii.gz")
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped fp32 model, for a test to add to."""
    return model_folders.changed(tmp_path / "model", version="1.0")


def loaded(folder: Path) -> OnnxModel:
    return inference.load(folder, provider=Provider.CPU, threads=1)


def answer(model: OnnxModel, slices: int = 3) -> Maps:
    """The maps of slices of noise."""
    size, context = model.description.size, model.description.context
    chance = np.random.default_rng(0)
    images = chance.random((slices, context, size, size), dtype=np.float32)
    return model.run(images, np.linspace(0, 1, slices, dtype=np.float32))


def graph_of(path: Path, like: OnnxModel) -> OnnxModel:
    """Another anomaly graph in place of a model's own."""
    session = inference.open_session(path.read_bytes(), Provider.CPU, 1, path)
    return OnnxModel(like.description, inference.Graph(session), like._brain)


def test_a_lean_graph_gives_the_maps_that_count_to_the_last_bit(
    folder: Path, tmp_path: Path
) -> None:
    fusion = model_toml.describe(folder).fusion
    lean.write(folder / inference.GRAPH_FILE, tmp_path / "lean.onnx", fusion)
    whole, less = (
        answer(one) for one in (loaded(folder), graph_of(tmp_path / "lean.onnx", loaded(folder)))
    )
    kept = [place for place, weight in enumerate(fusion.map_weights) if weight]
    assert kept == [0, 3]
    assert np.array_equal(whole.restoration, less.restoration)
    assert np.array_equal(whole.raw[:, kept], less.raw[:, kept])
    assert np.array_equal(whole.deviations[:, kept], less.deviations[:, kept])
    assert not less.raw[:, 1:3].any()
    for weights in (fusion.map_weights, fusion.score_weights):
        assert np.array_equal(
            scoring.weighted(whole.raw, weights), scoring.weighted(less.raw, weights)
        )


def test_a_lean_graph_has_no_discriminator_and_there_is_none_where_every_map_counts(
    folder: Path, tmp_path: Path
) -> None:
    source = folder / inference.GRAPH_FILE
    lean.write(source, tmp_path / "lean.onnx", model_toml.describe(folder).fusion)
    assert not lean.write(source, tmp_path / "whole.onnx", ALL_KINDS)
    names = [one.name for one in onnx.load(tmp_path / "lean.onnx").graph.initializer]
    assert names
    assert not [name for name in names if "critic" in name]
    assert not (tmp_path / "whole.onnx").exists()


def test_a_folder_with_a_lean_graph_serves_by_it_and_gives_every_map_where_asked(
    folder: Path,
) -> None:
    before = model_toml.describe(folder)
    assert lean.add(folder)
    assert model_toml.describe(folder).digest == before.digest
    serving = answer(loaded(folder))
    assert not serving.raw[:, 1:3].any()
    every = inference.load(folder, provider=Provider.CPU, threads=1, every_map=True)
    assert answer(every).raw[:, 1:3].any()
    graph = folder / inference.LEAN_FILE
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    with pytest.raises(UnusableModel, match=r"lean\.onnx is not the graph"):
        loaded(folder)


def test_all_convolutions_but_the_painting_one_get_whole_weights_of_seven_bits(
    folder: Path, tmp_path: Path
) -> None:
    source = folder / inference.BRAIN_FILE
    views = np.random.default_rng(0).random((2, 5, 160, 160), dtype=np.float32)
    quantise.write(source, tmp_path / "int8.onnx", [{"slices": views}])
    graph = onnx.load(tmp_path / "int8.onnx").graph
    whole = [numpy_helper.to_array(one) for one in graph.initializer]
    kernels = [one for one in whole if one.dtype == np.int8 and one.ndim == 4]
    assert len(kernels) == 14
    assert max(int(np.abs(one.astype(int)).max()) for one in kernels) <= 64
    painting = [one for one in whole if one.dtype == np.float32 and one.shape[2:] == (1, 1)]
    assert len(painting) == 1
    assert (tmp_path / "int8.onnx").stat().st_size < source.stat().st_size / 3


def test_a_half_precision_graph_reads_and_answers_float32(folder: Path, tmp_path: Path) -> None:
    half.write(folder / inference.GRAPH_FILE, tmp_path / "half.onnx")
    whole = answer(loaded(folder))
    less = answer(graph_of(tmp_path / "half.onnx", loaded(folder)))
    assert less.raw.dtype == np.float32
    np.testing.assert_allclose(less.restoration, whole.restoration, atol=0.02)
    assert not np.array_equal(less.restoration, whole.restoration)


@pytest.mark.slow
def test_int8_is_written_into_the_folder_with_thresholds_and_accuracy_of_its_own(
    folder: Path, data_folder: Path
) -> None:
    arguments = ["precision", "int8", "--model", str(folder), "--data", str(data_folder)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "| pixel AP" in done.output
    described, before = model_toml.describe(folder / "int8"), model_toml.describe(folder)
    assert (described.version, described.precision) == ("1.0+int8", Precision.INT8)
    assert described.digest != before.digest
    assert described.thresholds.version != before.thresholds.version
    assert len(described.study_reference) == 2
    assert described.pattern == before.pattern
    report = (folder / "int8" / making.REPORT_FILE).read_text("utf-8")
    assert "13 calibration" not in report
    assert "2 calibration patients" in report
    assert "CPUExecutionProvider int8" in report
    assert str(folder) not in report
    whole, fast = (answer(loaded(one)) for one in (folder, folder / "int8"))
    np.testing.assert_allclose(fast.restoration, whole.restoration, atol=0.2)
    again = CliRunner().invoke(
        app, ["precision", "int8", "--model", str(folder / "int8"), "--data", str(data_folder)]
    )
    assert again.exit_code == 1
    assert "int8 is made of fp32" in again.output


def test_a_precision_that_loses_accuracy_leaves_nothing_behind(
    folder: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(source: Path, target: Path, feeds: object) -> None:
        """Quantised as badly as can be: every kernel is nothing."""
        model = onnx.load(source)
        for one in model.graph.initializer:
            if len(one.dims) == 4:
                nothing = np.zeros(tuple(one.dims), np.float32)
                one.CopyFrom(numpy_helper.from_array(nothing, one.name))
        if source.name == inference.BRAIN_FILE:
            shutil.copyfile(source, target)
        else:
            onnx.save(model, target)

    monkeypatch.setattr(quantise, "write", spoilt)
    done = CliRunner().invoke(
        app, ["precision", "int8", "--model", str(folder), "--data", str(data_folder)]
    )
    assert done.exit_code == 1
    assert "loses more than 0.003" in done.output
    assert sorted(path.name for path in folder.iterdir()) == [
        inference.BRAIN_FILE,
        inference.GRAPH_FILE,
        model_toml.FILE_NAME,
    ]


def test_a_figure_that_the_patients_do_not_give_counts_as_lost() -> None:
    found = accuracy.differences(*[without_tumour()] * 2)
    assert set(accuracy.lost(found)) >= {"auroc"}


def without_tumour() -> Measured:
    """Scores of a patient with nothing to be found."""
    scores = patient_scores(
        "one",
        np.array([0.1, 0.2]),
        np.zeros((2, 4, 4), dtype=np.bool_),
        evaluated=np.ones(2, dtype=np.bool_),
        heights=np.array([0.1, 0.9]),
        anomaly_map=np.zeros((2, 4, 4), dtype=np.float32),
        pixel_threshold=0.5,
    )
    sheet = Scoresheet(
        name="model",
        slice_threshold=1.0,
        slice_threshold_at_5_percent=1.0,
        pixel_threshold=0.5,
        patients=(scores,),
    )
    return Measured(precision="fp32", sheet=sheet, mass_like={})

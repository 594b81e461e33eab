"""A training run of a few steps on drawn heads: resume, calibration, export, evaluation."""

import csv
import dataclasses
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import drawn_collections
import head_phantom
import tiny_runs
from agent import inference, model_toml, pipeline
from agent.imaging.results import Findings
from model_training import checkpoint, config, corruption, runs, trainer
from model_training.cli import app
from model_training.config import Recipe
from model_training.evaluation import metadata, metrics
from model_training.methods.method import Batch
from model_training.methods.restoring import Restoring
from tiny_runs import noise_slices

STEPS = {"adversarial_from_step": 2, "checkpoint_every": 3}


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two collections of drawn heads in the layout that training reads."""
    root = tmp_path_factory.mktemp("data")
    splits = ["train", "calibration", "calibration", "test", "test"]
    drawn_collections.write(root / "patients", splits, lesion_radius_mm=16.0)
    drawn_collections.write(root / "healthy", splits, mask="wmh.nii.gz")
    return root


@pytest.fixture(scope="module")
def run_folder(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of six steps."""
    recipe = tiny_runs.recipe_text(**STEPS, collections=["patients", "healthy"], max_steps=6)
    return tiny_runs.run(tmp_path_factory.mktemp("run"), data_folder, recipe)


@pytest.fixture
def tiny(tmp_path: Path) -> Recipe:
    """The tiny recipe of eight steps, read as every recipe is."""
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_runs.recipe_text(**STEPS, max_steps=8))
    return config.load(path)


def test_a_resumed_run_repeats_an_unbroken_one_bit_for_bit(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trainer.train(tiny, noise_slices(), tmp_path / "whole", watched=noise_slices())

    class Killed(Exception):
        """The process ends here."""

    learn = Restoring.learn

    def die_at_step_five(method: Restoring, batch: Batch, *, step: int) -> dict[str, float]:
        if step == 5:
            raise Killed
        return learn(method, batch, step=step)

    with monkeypatch.context() as broken:
        broken.setattr(Restoring, "learn", die_at_step_five)
        with pytest.raises(Killed):
            trainer.train(tiny, noise_slices(), tmp_path / "broken", watched=noise_slices())
    saved = checkpoint.load(tmp_path / "broken")
    assert saved is not None
    assert saved["step"] == 3
    resumed = trainer.train(tiny, noise_slices(), tmp_path / "broken", watched=noise_slices())
    once, twice = whole.method.networks.state_dict(), resumed.method.networks.state_dict()
    assert all(torch.equal(once[key], twice[key]) for key in once)
    for name, wanted in ((trainer.LOSS_FILE, range(1, 9)), (trainer.VALIDATION_FILE, (3, 6))):
        with (tmp_path / "broken" / name).open() as handle:
            assert [int(line["step"]) for line in csv.DictReader(handle)] == list(wanted)


def test_a_run_from_another_kind_of_device_goes_on_with_draws_of_its_own(
    tiny: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun = dataclasses.replace(tiny, max_steps=3)
    trainer.train(begun, noise_slices(), tmp_path / "run", watched=noise_slices())
    saved = checkpoint.load(tmp_path / "run")
    assert saved is not None
    # What a CUDA generator's state looks like: 16 bytes, which a CPU's cannot take.
    changed = {"device": "cuda", "chance": torch.zeros(16, dtype=torch.uint8)}
    checkpoint.save(tmp_path / "run", saved | changed)
    resumed = trainer.train(tiny, noise_slices(), tmp_path / "run", watched=noise_slices())
    assert resumed.step == 8
    assert resumed.chance.initial_seed() == tiny.seed + 3
    assert "draws begin anew" in caplog.text


def test_a_checkpoint_from_before_devices_were_named_goes_on(tiny: Recipe) -> None:
    run = trainer.start(tiny, trainer.CPU)
    state = trainer.state_of(run)
    del state["device"]
    run.chance.manual_seed(99)
    trainer.restore(run, state)
    assert torch.equal(run.chance.get_state(), state["chance"])


def test_a_run_that_learns_nothing_more_is_stopped(tiny: Recipe, tmp_path: Path) -> None:
    patient = dataclasses.replace(tiny, checkpoint_every=1, patience_steps=0)
    stopped = trainer.train(patient, noise_slices(), tmp_path / "run", watched=noise_slices())
    assert stopped.step < patient.max_steps


def test_only_lesion_free_slices_are_trained_on(run_folder: Path) -> None:
    kept = np.load(run_folder / runs.SLICES_FILE)
    # A lesion is brighter than 0.7 on the model grid, tumour-free brain far below.
    assert len(kept["images"]) > 10
    assert kept["images"].max() < 0.7


def test_damage_stays_inside_the_brain_and_leaves_some_slices_clean() -> None:
    chance = torch.Generator().manual_seed(0)
    image = torch.full((20, 3, 64, 64), 0.4)
    brain = torch.zeros(20, 1, 64, 64, dtype=torch.bool)
    brain[:, :, 16:48, 16:48] = True
    damaged, foreign = corruption.corrupt(image, brain, chance, corruption.CorruptionSettings())
    changed = (damaged - image).abs() > 1e-6
    assert not (changed & ~brain).any()
    assert not (foreign[~brain] > 0).any()
    touched = changed.flatten(1).any(1)
    assert 14 <= int(touched.sum()) < 20


def test_an_unknown_key_in_a_recipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "typo.toml"
    path.write_text(tiny_runs.recipe_text() + "max_stepps = 3\n")
    with pytest.raises(ValueError, match="max_stepps"):
        config.load(path)


def test_nothing_is_exported_or_tested_before_thresholds_are_frozen(
    run_folder: Path, data_folder: Path, tmp_path: Path
) -> None:
    exported = CliRunner().invoke(
        app, ["export", "--run", str(run_folder), "--out", str(tmp_path / "model")]
    )
    assert exported.exit_code == 1
    assert not (tmp_path / "model").exists()
    tested = CliRunner().invoke(
        app,
        ["evaluate", "--run", str(run_folder), "--data", str(data_folder), "--model", "nowhere"],
    )
    assert tested.exit_code == 1


@pytest.mark.slow
def test_a_run_becomes_a_model_folder_that_the_agent_reads_and_the_test_split_opens_once(
    run_folder: Path, data_folder: Path, tmp_path: Path
) -> None:
    model_folder = tmp_path / "model"
    run, data = ["--run", str(run_folder)], ["--data", str(data_folder)]
    for arguments in (
        ["calibrate", *run, *data],
        ["export", *run, "--out", str(model_folder)],
        ["evaluate", *run, *data, "--model", str(model_folder)],
    ):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
    again = CliRunner().invoke(app, ["evaluate", *run, *data, "--model", str(model_folder)])
    assert again.exit_code == 1
    assert "has been opened" in again.output
    shown = (model_folder / "report.md").read_text("utf-8")
    assert metadata.ROW in shown
    assert "patients_" not in shown + (model_folder / "evaluation.json").read_text("utf-8")
    assert "patients,patient 4,patients_3\n" in (run_folder / "patients.csv").read_text("utf-8")
    figures = {path.name for path in (model_folder / "figures").iterdir()}
    assert figures >= {"losses.png", "scores.png", "roc.png", "montage.png", "failures.png"}

    written = tomllib.loads((model_folder / model_toml.FILE_NAME).read_text("utf-8"))
    assert written["training"]["seeds"] == [1]
    model = inference.load(model_folder, provider=inference.Provider.CPU)
    _, shipped, kept = runs.finished(run_folder)
    image = kept.images[:3].astype(np.float32)
    served = model.run(image, kept.positions[:3])
    with torch.inference_mode():
        wanted = shipped(torch.from_numpy(image), torch.from_numpy(kept.positions[:3]))
    for name, tensor in zip(inference.OUTPUTS, wanted, strict=True):
        np.testing.assert_allclose(getattr(served, name), tensor.numpy(), atol=1e-3, rtol=1e-3)
    volume = head_phantom.draw(lesion_radius_mm=16).volume
    found = pipeline.analyse(volume, model, model.description.thresholds)
    assert isinstance(found, Findings)


def test_figures_of_merit_agree_with_their_definitions() -> None:
    scores = np.array([0.1, 0.4, 0.4, 0.8])
    labels = np.array([False, False, True, True])
    assert metrics.auroc(scores, labels) == pytest.approx(3.5 / 4)
    assert metrics.average_precision(scores, labels) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    values = np.array([0.1, 0.3, 0.5, 0.7], dtype=np.float32)
    counts = metrics.pixel_counts(values, labels)
    assert metrics.pixel_average_precision(counts) == pytest.approx(1.0)
    threshold = metrics.best_dice_threshold(counts)
    assert 0.3 < threshold <= 0.5
    assert metrics.dice(counts, threshold) == pytest.approx(1.0)

"""Runs that begin with what a model has learnt before."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import tiny_runs
from model_training import config, trainer, weights
from model_training.cli import app
from model_training.config import Recipe


@pytest.fixture
def tiny(tmp_path: Path) -> Recipe:
    """A recipe of two steps."""
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_runs.recipe_text(max_steps=2))
    return config.load(path)


@pytest.fixture
def model_folder(tiny: Recipe, tmp_path: Path) -> Path:
    """A model folder with the weights of two members and nothing else."""
    folder = tmp_path / "model"
    folder.mkdir()
    members = [trainer.start(replace(tiny, seed=seed), trainer.CPU) for seed in (1, 2)]
    weights.save(folder, [member.method.networks.state_dict() for member in members])
    return folder


def test_a_run_begins_with_the_weights_of_a_model_each_seed_with_another_members(
    tiny: Recipe, model_folder: Path
) -> None:
    other = replace(tiny, seed=2)
    begun = trainer.start(tiny, trainer.CPU, weights.load(model_folder, seed=4))
    wanted = trainer.start(other, trainer.CPU).method.networks.state_dict()
    for name, value in begun.method.networks.state_dict().items():
        assert torch.equal(value, wanted[name]), name


def test_a_broken_off_run_goes_on_from_its_checkpoint_not_from_the_model(
    tiny: Recipe, model_folder: Path, tmp_path: Path
) -> None:
    slices, folder = tiny_runs.noise_slices(), tmp_path / "run"
    whole = trainer.train(tiny, slices, folder, watched=slices)
    learnt = weights.load(model_folder, seed=2)
    again = trainer.train(tiny, slices, folder, watched=slices, learnt=learnt)
    for name, value in again.method.networks.state_dict().items():
        assert torch.equal(value, whole.method.networks.state_dict()[name]), name


def test_weights_of_another_size_are_refused(tiny: Recipe, model_folder: Path) -> None:
    wider = replace(tiny, generator_width=16)
    with pytest.raises(ValueError, match="go on with the recipe"):
        trainer.start(wider, trainer.CPU, weights.load(model_folder, seed=1))


def test_a_model_without_weights_is_refused_by_name(tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tiny_runs.recipe_text())
    arguments = ["run", str(recipe), "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, [*arguments, "--from", str(tmp_path)])
    assert done.exit_code == 1
    assert "weights.pt does not exist" in done.output.replace("\n", "")
    assert not (tmp_path / "run").exists()

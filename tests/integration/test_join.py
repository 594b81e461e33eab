"""Runs that differ in their seed, joined into one model that answers with their mean."""

import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import shipped
import tiny_runs
from agent import inference, model_toml
from model_training import calibrate, config, graph, runs, trainer, weights
from model_training.calibrate import Calibration, Frozen
from model_training.cli import app
from model_training.evaluation.examine import MODEL

FROZEN = Calibration(
    fusion=shipped.RESIDUAL_ONLY,
    rows={MODEL: Frozen(sign=1, slice=1.0, slice_at_5_percent=1.0, pixel=0.1)},
    minimum_volume_ml=0.5,
    slice_reference=(0.1,),
    study_reference=(0.1,),
    patients=1,
    tumour_free_subjects=1,
    synthetic={},
)


def run(folder: Path, *, seed: int, steps: int = 2, digest: str = "same") -> Path:
    """A finished run, as `neurosieve-train run` leaves it."""
    recipe = tiny_runs.recipe_text(seed=seed, max_steps=steps, checkpoint_every=2)
    folder.mkdir()
    (folder / runs.RECIPE_FILE).write_text(recipe)
    (folder / inference.BRAIN_FILE).write_bytes(b"not read here")
    for name in (runs.SLICES_FILE, runs.WATCHED_FILE):
        np.savez(folder / name, **vars(tiny_runs.noise_slices(digest)))
    slices = tiny_runs.noise_slices()
    trainer.train(config.load(folder / runs.RECIPE_FILE), slices, folder, watched=slices)
    return folder


def join(folders: list[Path], out: Path) -> tuple[int, str]:
    """Exit code and output of the command."""
    given = [part for folder in folders for part in ("--run", str(folder))]
    done = CliRunner().invoke(app, ["join", *given, "--out", str(out)])
    return done.exit_code, done.output


def test_joined_runs_answer_with_the_mean_of_their_maps(tmp_path: Path) -> None:
    folders = [run(tmp_path / str(seed), seed=seed) for seed in (1, 2)]
    code, output = join(folders, tmp_path / "joined")
    assert code == 0, output
    image = tiny_runs.noise_slices()
    one, other, both = (
        graph.run(runs.finished(folder)[1], image.images, image.positions)
        for folder in (*folders, tmp_path / "joined")
    )
    assert np.abs(one.raw - other.raw).max() > 1e-3
    np.testing.assert_allclose(both.raw, (one.raw + other.raw) / 2, atol=1e-6)
    np.testing.assert_allclose(
        both.restoration, (one.restoration + other.restoration) / 2, atol=1e-6
    )


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [({"steps": 4}, "only the seed may differ"), ({"digest": "other"}, "learnt from other slices")],
)
def test_runs_that_differ_in_more_than_the_seed_are_not_joined(
    tmp_path: Path, changed: dict[str, int | str], sentence: str
) -> None:
    first = run(tmp_path / "first", seed=1)
    second = run(tmp_path / "second", seed=2, **changed)  # type: ignore[arg-type]
    code, output = join([first, second], tmp_path / "joined")
    assert code == 1
    assert sentence in output.replace("\n", " ")
    assert not (tmp_path / "joined").exists()


@pytest.mark.slow
def test_the_exported_model_names_the_seed_and_keeps_the_weights_of_every_run(
    tmp_path: Path,
) -> None:
    folders = [run(tmp_path / str(seed), seed=seed) for seed in (3, 1)]
    brain_graph = inference.default_folder() / inference.BRAIN_FILE
    shutil.copyfile(brain_graph, folders[0] / inference.BRAIN_FILE)
    join(folders, tmp_path / "joined")
    calibrate.save(tmp_path / "joined", FROZEN)
    runs.export_model(tmp_path / "joined", tmp_path / "model")
    written = (tmp_path / "model" / model_toml.FILE_NAME).read_text("utf-8")
    assert tomllib.loads(written)["training"]["seeds"] == [3, 1]
    for number, folder in enumerate(folders, start=1):
        kept = weights.load(tmp_path / "model", seed=number)
        assert all(torch.equal(kept[name], one) for name, one in runs.learnt_by(folder).items())

"""A GAN trained on drawn single images for a few steps, and the table of what it is worth."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import drawn_images
import tiny_runs
from model_training.cli import app
from model_training.image_sets import classifiers, view_classifier

IMAGES = {
    "sequence": "any",
    "plane": "any",
    "collections": ["images"],
    "size": 64,
    "context": 1,
    "max_steps": 3,
    "checkpoint_every": 3,
}


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "images").mkdir()
    drawn_images.write_collection(root / "images", drawn_images.image_set(groups=40))
    return root


@pytest.fixture(scope="module")
def run_folder(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = tiny_runs.recipe_text(**IMAGES, single_images=True)
    return tiny_runs.run(tmp_path_factory.mktemp("run"), data_folder, recipe)


@pytest.fixture(scope="module")
def report(data_folder: Path, run_folder: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifiers, "TREES", 10)
        patch.setattr(view_classifier, "TREES", 10)
        done = CliRunner().invoke(
            app, ["images", "--run", str(run_folder), "--data", str(data_folder)]
        )
    assert done.exit_code == 0, done.output
    return (run_folder / "images.md").read_text()


def test_only_normal_training_images_are_learnt_from(run_folder: Path) -> None:
    """Half of 40 groups of two images is for training, half of these is normal."""
    with np.load(run_folder / "slices.npz") as slices:
        assert slices["images"].shape == (20, 1, 64, 64)


@pytest.mark.parametrize(
    "row", ["anomaly score of the GAN", "classifier on the GAN's features", "brightness"]
)
def test_the_gan_and_the_shortcuts_stand_in_one_table(report: str, row: str) -> None:
    assert f"| {row}" in report


def test_few_labels_and_all_stand_in_the_table(report: str) -> None:
    lines = [line for line in report.splitlines() if line.startswith("| classifier on the GAN")]
    assert [line.split("|")[2].strip() for line in lines] == ["10", "20"]


def test_the_report_says_how_little_such_a_set_says(report: str) -> None:
    assert "little about\ntumours" in report or "little about tumours" in report


def test_a_run_of_volumes_is_refused(run_folder: Path, data_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(tiny_runs.recipe_text(**IMAGES))
    (tmp_path / "checkpoint.pt").write_bytes((run_folder / "checkpoint.pt").read_bytes())
    done = CliRunner().invoke(app, ["images", "--run", str(tmp_path), "--data", str(data_folder)])
    assert done.exit_code == 1
    assert "no restoring GAN of single images" in done.stderr

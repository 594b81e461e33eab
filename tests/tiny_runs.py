"""Training runs of a few steps of a net of a few channels, on drawn heads or on noise."""

import json
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from model_training.cli import app
from model_training.data import SliceSet

RECIPE: dict[str, object] = {
    "name": "tiny",
    "version": "0.0.1",
    "sequence": "FLAIR",
    "plane": "axial",
    "collections": ["patients"],
    "size": 32,
    "generator_width": 8,
    "discriminator_width": 8,
    "batch": 4,
    "adversarial_from_step": 1,
    "threads": 1,
    "mixed_precision": False,
}


def recipe_text(**changes: object) -> str:
    """The recipe in TOML, with other values or more of them; JSON writes such values alike."""
    fields = RECIPE | changes
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())


def run(folder: Path, data_folder: Path, recipe: str) -> Path:
    """A finished run in a folder, by the command."""
    file = folder / "tiny.toml"
    file.write_text(recipe)
    arguments = ["run", str(file), "--data", str(data_folder), "--out", str(folder)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return folder


def noise_slices(digest: str = "same") -> SliceSet:
    """Random slices for runs whose result does not matter."""
    chance = np.random.default_rng(0)
    return SliceSet(
        images=chance.random((8, 3, 32, 32), dtype=np.float32).astype(np.float16),
        brain=np.ones((8, 32, 32), dtype=np.bool_),
        positions=np.linspace(0, 1, 8, dtype=np.float32),
        subjects=1,
        digest=digest,
    )

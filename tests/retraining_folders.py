"""A small base model of drawn heads, and folders of a site's scans to retrain it on."""

import json
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

import drawn_collections
import head_phantom
import tiny_runs
from agent import model_toml, readers
from model_training.cli import app

RUN = "site.20261126-1"
STEPS = 12


def base_model(folder: Path) -> Path:
    """A model that has seen a few drawn heads; it reads whatever looks like a head."""
    data = folder / "data"
    splits = ["train", "train", "calibration", "calibration"]
    drawn_collections.write(data / "patients", splits, lesion_radius_mm=16.0)
    recipe = tiny_runs.recipe_text(checkpoint_every=3, adversarial_from_step=2, max_steps=6)
    run = tiny_runs.run(folder, data, recipe)
    out = folder / "model"
    for arguments in (
        ["calibrate", "--run", str(run), "--data", str(data)],
        ["export", "--run", str(run), "--out", str(out)],
    ):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
    # Drawn heads differ less than real ones, so limits learnt from them would refuse others.
    file = out / model_toml.FILE_NAME
    text = file.read_text(encoding="utf-8")
    without = re.sub(r"(?ms)^\[acceptance\.stack\].*?(?=^\[training\])", "", text)
    file.write_text(without, encoding="utf-8")
    return out


def heads(folder: Path, count: int, *, first: int = 0) -> Path:
    """So many patients, a folder each, with a FLAIR and an empty mask of white-matter lesions."""
    for number in range(first, first + count):
        put(folder / f"patient_{number:02}" / "FLAIR.nii.gz", seed=number)
    return folder


def put(path: Path, *, seed: int = 0, lesion: str = "") -> None:
    """One head; `lesion` names the file of a mask that marks something."""
    phantom = head_phantom.draw(seed=100 + seed, lesion_radius_mm=12.0 if lesion else 0.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    readers.write_nifti(path, phantom.volume.voxels, phantom.volume)
    if lesion:
        mask = phantom.lesion.astype(np.uint8)
        readers.write_nifti(path.parent / lesion, mask, phantom.volume)


def put_fruit(path: Path) -> None:
    """An even ball without a skull, smaller than a head."""
    phantom = head_phantom.draw(seed=1, scale=0.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    readers.write_nifti(path, phantom.volume.voxels, phantom.volume)


def arguments(data: Path, base: Path, work: Path, *more: str) -> list[str]:
    """The command line of a short retraining."""
    return [
        *(sys.executable, "-m", "model_training.retraining", "--device", "cpu"),
        *("--data", str(data), "--from", str(base), "--out", str(work), "--run", RUN),
        *("--steps", str(STEPS), *more),
    ]


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """The command to its end."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def killed(command: Sequence[str], chance: random.Random, log: Path) -> str:
    """Starts the command, kills it after a random number of lines, and returns the last line."""
    lines = chance.randrange(1, 40)
    last = ""
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        for _ in range(lines):
            last = process.stdout.readline() or last
        process.kill()
    return last


def stage_of(line: str) -> str:
    """The stage that a line of progress names."""
    return str(json.loads(line)["stage"])

"""`neurosieve-train` starts quickly and says in one line what was wrong."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model_training.cli import app

RECIPE = """
name = "tiny"
version = "0"
sequence = "FLAIR"
plane = "axial"
collections = ["patients"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder without a collection, and a run folder that holds a recipe and nothing else."""
    for name in ("data", "run"):
        (tmp_path / name).mkdir()
    (tmp_path / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    (tmp_path / "run" / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    return tmp_path


def refused(folder: Path, *arguments: str) -> str:
    """The one line that a command ends with; paths are below the folder where they begin with /."""
    placed = [f"{folder}{one}" if one.startswith("/") else one for one in arguments]
    done = CliRunner().invoke(app, placed)
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit)
    assert len(done.output.splitlines()) == 1
    return done.output


DATA, RUN, MODEL = ("--data", "/data"), ("--run", "/run"), ("--model", "/nowhere")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "/nowhere.toml", *DATA, "--out", "/out"), "nowhere.toml: No such file"),
        (("run", "/recipe.toml", *DATA, "--out", "/out"), "There is no collection"),
        (("calibrate", *RUN, *DATA), "holds no checkpoint: run `neurosieve-train run` first"),
        (("calibrate", "--run", "/nowhere", *DATA), "nowhere/recipe.toml: No such file"),
        (("export", *RUN, "--out", "/model"), "freeze the thresholds with"),
        (("verdicts", *RUN, *DATA, *MODEL), "nowhere/model.toml cannot be read"),
        (("evaluate", *RUN, *DATA, *MODEL), "freeze the thresholds with"),
        (
            ("compare", *RUN, "--against", "/run", "--collection", "patients"),
            "score the run with `neurosieve-train evaluate` first",
        ),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    folder: Path, arguments: Sequence[str], said: str
) -> None:
    assert said in refused(folder, *arguments)


@pytest.mark.parametrize(
    ("text", "said"), [("name = ", "not TOML"), (RECIPE + "stepps = 3\n", "stepps")]
)
def test_a_recipe_that_is_none_is_refused_in_one_line(folder: Path, text: str, said: str) -> None:
    (folder / "recipe.toml").write_text(text, encoding="utf-8")
    assert said in refused(folder, "run", "/recipe.toml", *DATA, "--out", "/out")


@pytest.mark.parametrize("command", ["run", "ablation"])
def test_a_gpu_that_is_not_there_is_refused_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    arguments = (command, "/recipe.toml", *DATA, "--out", "/out", "--device", "cuda")
    assert "no CUDA GPU here" in refused(folder, *arguments)
    assert not (folder / "out").exists()


def test_help_needs_nothing_heavy() -> None:
    heavy = "{'numpy', 'torch', 'scipy', 'matplotlib', 'sklearn', 'onnxruntime'}"
    code = f"import sys, model_training.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

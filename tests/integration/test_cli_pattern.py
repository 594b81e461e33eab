"""The command says what the marked regions look like: of a stored study and of one on disk."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import builders
import demo_study
import received
import results as cases
from agent.cli import app
from storage import results, studies
from storage.database import open_database


def run(*arguments: str | Path) -> Result:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    data = (tmp_path / "data").as_posix()
    file.write_text(
        f'[node]\ndata_dir = "{data}"\nport = 0\nreserve_gb = 0.0\nwatermark_percent = 100.0\n',
        encoding="utf-8",
    )
    return file


@pytest.fixture
def study(config: Path) -> str:
    """A study with white-matter changes, as a node stored it."""
    run("studies", "list", "-c", config)  # makes the database
    database = open_database(f"sqlite:///{config.parent / 'data' / 'neurosieve.db'}")
    case = cases.analysed(builders.flair_series(slices=8), mass_like=False)
    with database.begin() as session:
        (key,) = studies.record_instances(session, [received.image()])
        results.save_analysis(session, key, case.context.analysis, case.context.lesions)
    database.close()
    return received.UID


def test_a_study_is_listed_with_its_pattern(config: Path, study: str) -> None:
    (row,) = json.loads(run("studies", "list", "-c", config, "--json").stdout)
    assert (row["outcome"], row["pattern"]) == ("ABNORMAL", "WHITE_MATTER")


def test_a_study_shows_what_each_lesion_looks_like(config: Path, study: str) -> None:
    whole = json.loads(run("studies", "show", study, "-c", config, "--json").stdout)
    assert whole["analysis"]["pattern"] == "WHITE_MATTER"
    assert [lesion["mass_like"] for lesion in whole["lesions"]] == [False, False]
    assert whole["lesions"][0]["near_ventricle"] == 0.75


def test_the_tables_say_so_too(config: Path, study: str) -> None:
    words = run("studies", "show", study, "-c", config).output
    assert "pattern: WHITE_MATTER" in words
    assert "mass like" in words


def test_a_study_on_disk_is_answered_with_its_pattern(tmp_path: Path, config: Path) -> None:
    """The bundled study shows a glioma, and the shipped model knows it."""
    out = tmp_path / "out"
    words = run("analyse", demo_study.FOLDER, "--out", out, "-c", config).output
    assert "ABNORMAL, mass-like anomaly:" in words
    summary = json.loads((out / "study.json").read_text())
    assert summary["pattern"] == "MASS_LIKE"
    assert summary["lesions"][0]["shape"]["thickness_mm"] > 10
    assert summary["spread"]["regions"] == len(summary["lesions"])

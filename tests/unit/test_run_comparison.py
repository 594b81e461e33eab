"""Runs are compared from what their evaluations kept."""

from dataclasses import replace
from pathlib import Path

import pytest

import scored
from model_training.evaluation import run_comparison, scoresheets


def evaluated(root: Path, name: str, *, shift: float = 0.0) -> Path:
    """A run whose evaluation kept the model and a baseline; tumours score higher by `shift`."""
    model = scored.chance_sheet()
    patients = tuple(replace(one, scores=one.scores + shift * one.labels) for one in model.patients)
    sheets = [
        replace(model, patients=patients),
        replace(model, name="head area", pixel_threshold=None),
    ]
    path = scoresheets.path_of(root / name / "evaluation_calibration", "patients")
    scoresheets.save(path, sheets)
    return root / name


def test_every_seed_is_shown_beside_the_difference_of_the_means(tmp_path: Path) -> None:
    ours = [evaluated(tmp_path, "gan_1", shift=0.2), evaluated(tmp_path, "gan_2", shift=0.4)]
    theirs = [evaluated(tmp_path, "plain_1")]
    found = run_comparison.compare(ours, theirs, collection="patients", split="calibration")
    line = next(line for line in found.splitlines() if line.startswith("| AUROC "))
    first, second = (float(value) for value in line.split("|")[2].split(","))
    against = float(line.split("|")[3])
    difference = float(line.split("|")[4].split("[")[0])
    assert difference == pytest.approx((first + second) / 2 - against, abs=0.0015)
    assert "gan_1, gan_2 (model) less plain_1 (model)" in found


def test_a_run_can_meet_its_own_baseline(tmp_path: Path) -> None:
    run = evaluated(tmp_path, "gan", shift=0.3)
    found = run_comparison.compare(
        [run], [run], collection="patients", split="calibration", their_row="head area"
    )
    assert "Dice" not in found  # the baseline draws no map


def test_a_way_of_scoring_that_is_not_kept_is_named(tmp_path: Path) -> None:
    run = evaluated(tmp_path, "gan")
    with pytest.raises(ValueError, match="model, head area"):
        run_comparison.compare(
            [run], [run], collection="patients", split="calibration", our_row="typo"
        )


def test_a_run_without_an_evaluation_is_sent_there(tmp_path: Path) -> None:
    run = evaluated(tmp_path, "gan")
    with pytest.raises(FileNotFoundError, match="neurosieve-train evaluate"):
        run_comparison.compare([run], [run], collection="patients")

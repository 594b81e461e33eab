"""An ablation of two variants and two steps on drawn heads."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import drawn_collections
import tiny_runs
from model_training import checkpoint
from model_training.ablation import summary, trial, variants
from model_training.cli import app
from model_training.evaluation import scoresheets
from model_training.evaluation.examine import MODEL
from model_training.evaluation.resampling import Interval

BASE = tiny_runs.recipe_text() + "\n[corruption]\nlesion_share = 0.5\n"
VARIANTS = """
base = "tiny.toml"

[every]
max_steps = 5

[variant.baseline]
group = "baseline"

[variant.no_mass]
group = "corruption"
corruption.mass_share = 0.0

[variant.wide_mask]
group = "mask"
mask = "wide"
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of variants beside its base recipe."""
    folder = tmp_path_factory.mktemp("recipes")
    (folder / "tiny.toml").write_text(BASE)
    (folder / "ablation.toml").write_text(VARIANTS)
    return folder / "ablation.toml"


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One collection of drawn heads with a lesion; its test subject cannot be read."""
    root = tmp_path_factory.mktemp("data")
    splits = ["train", "calibration", "calibration"]
    drawn_collections.write(root / "patients", splits, lesion_radius_mm=16.0, subject="patient")
    with (root / "patients" / "split.csv").open("a") as table:
        table.write("patient_that_must_not_be_opened,test\n")
    return root


@pytest.fixture(scope="module")
def out(file: Path, data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished ablation of the first two variants."""
    folder = tmp_path_factory.mktemp("ablation")
    run(file, data_folder, folder, "--only", "baseline", "--only", "no_mass")
    return folder


def run(file: Path, data_folder: Path, out: Path, *more: str) -> str:
    """The command on two steps; what it prints."""
    arguments = ["ablation", str(file), "--data", str(data_folder), "--out", str(out)]
    done = CliRunner().invoke(app, [*arguments, "--steps", "2", *more])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_variant_changes_its_own_fields_and_no_other(file: Path) -> None:
    baseline, no_mass, wide_mask = variants.load(file)
    assert (baseline.recipe.corruption.mass_share, no_mass.recipe.corruption.mass_share) == (
        0.15,
        0.0,
    )
    assert no_mass.recipe.corruption.lesion_share == 0.5
    assert no_mass.recipe.max_steps == 5
    assert no_mass.change == "corruption.mass_share = 0.0"
    assert wide_mask.mask is variants.Mask.WIDE


def test_a_field_that_no_recipe_has_is_refused_with_the_name_of_the_variant(
    file: Path, tmp_path: Path
) -> None:
    (tmp_path / "tiny.toml").write_text(BASE)
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(VARIANTS.replace("corruption.mass_share", "corruption.mas_share"))
    with pytest.raises(ValueError, match=r"variant no_mass.*mas_share"):
        variants.load(wrong)


def test_every_finished_variant_and_every_score_of_the_first_has_a_line(out: Path) -> None:
    lines = json.loads((out / summary.JSON_FILE).read_text())["lines"]
    names = [line["name"] for line in lines]
    assert names[0] == "baseline"
    assert names[-1] == "no_mass"
    assert {"residual alone", "without features"} <= set(names)
    assert all(0 <= line["figures"]["auroc"]["value"] <= 1 for line in lines)
    assert lines[0]["less_first"] == {}
    difference = lines[-1]["less_first"]["auroc"]["value"]
    reached = [lines[place]["figures"]["auroc"]["value"] for place in (-1, 0)]
    assert difference == pytest.approx(reached[0] - reached[1])


def line(name: str, group: str, low: float, value: float, high: float) -> summary.Line:
    """A finished variant so far from the first in both figures."""
    difference = Interval(value=value, low=low, high=high)
    return summary.Line(
        name=name,
        group=group,
        change="",
        figures={},
        less_first=dict.fromkeys((summary.AUROC, summary.PRECISION), difference),
        subjects=1,
        slices=1,
        minutes=1.0,
    )


def test_only_what_neither_patients_nor_a_seed_explain_is_said_to_matter() -> None:
    clear = line("no_mask", "mask", -0.3, -0.2, -0.1)
    unsure = line("no_mass", "corruption", -0.3, -0.1, 0.1)
    small = line("one_slice", "context", -0.02, -0.01, -0.001)
    seed = line("seed_2", summary.CHANCE, -0.05, 0.02, 0.08)
    said = summary.matters([clear, unsure, small, seed])
    assert "explain with: no_mask -.200 [-.300, -.100]. " in said
    assert "Not separable from chance: no_mass, one_slice." in said


def test_nothing_is_said_to_matter_before_another_seed_is_known() -> None:
    assert "no_mask" not in summary.matters([line("no_mask", "mask", -0.3, -0.2, -0.1)])


def test_only_calibration_patients_are_scored(out: Path) -> None:
    kept = scoresheets.load(out / "no_mass" / trial.SHEETS_FILE)[MODEL]
    assert [patient.name for patient in kept.patients] == ["patient_1", "patient_2"]


def test_a_finished_variant_is_not_trained_again(file: Path, data_folder: Path, out: Path) -> None:
    (out / "no_mass" / checkpoint.FILE_NAME).unlink()
    before = (out / summary.TABLE_FILE).read_text()
    run(file, data_folder, out, "--only", "no_mass")
    assert not (out / "no_mass" / checkpoint.FILE_NAME).exists()
    assert (out / summary.TABLE_FILE).read_text() == before


def test_results_of_another_recipe_are_not_taken_for_this_one(
    file: Path, data_folder: Path, out: Path
) -> None:
    arguments = ["ablation", str(file), "--data", str(data_folder), "--out", str(out)]
    done = CliRunner().invoke(app, [*arguments, "--steps", "3", "--only", "no_mass"])
    assert done.exit_code == 1
    assert "another recipe" in done.output


def test_an_unknown_variant_is_named_with_those_there_are(file: Path, data_folder: Path) -> None:
    arguments = ["ablation", str(file), "--data", str(data_folder), "--out", str(data_folder)]
    done = CliRunner().invoke(app, [*arguments, "--only", "no_such"])
    assert done.exit_code == 1
    assert "wide_mask" in done.output

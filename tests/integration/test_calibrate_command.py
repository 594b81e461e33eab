"""`neurosieve thresholds calibrate` as an administrator calls it, over real rows and real files."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

import analysed_node
import demo_study
import marked_studies
from agent import bootstrap, inference, model_toml, settings, stored_studies
from agent.calibration import Refused, Scored
from agent.dicom.series import SeriesRules
from agent.inference import OnnxModel, Provider
from command import run
from model_folders import changed
from storage import studies
from storage.enums import Mark
from storage.records import StudyKey

NORMALS = (1.0, 1.1, 1.2, 1.3, 1.4, 2.9)
RATE = ("--false-positive-rate", "0.3")  # of 6 studies the highest may pass


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return analysed_node.configured(tmp_path)


@pytest.fixture(scope="module")
def model() -> OnnxModel:
    return inference.load(inference.default_folder(), provider=Provider.CPU)


def keep_normals(config: Path, scores: tuple[float, ...] = NORMALS) -> list[StudyKey]:
    return [
        marked_studies.keep(config, f"normal {number}", score, Mark.NORMAL)
        for number, score in enumerate(scores)
    ]


def calibrate(config: Path, *arguments: str, query: str = "marked=normal") -> Result:
    return run(config, "thresholds", "calibrate", "--from-studies", query, *RATE, *arguments)


def facts(config: Path, *arguments: str, query: str = "marked=normal") -> dict[str, Any]:
    result = calibrate(config, "--dry-run", "--json", *arguments, query=query)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


@contextmanager
def scoring(config: Path, key: StudyKey, model: OnnxModel, rules: SeriesRules) -> Iterator[Any]:
    """What calibration takes for the answer of the model."""
    storage = bootstrap.open_storage(settings.load(config))
    with storage.database.read() as session:
        study = studies.get(session, key)
    yield stored_studies.score(storage.database, storage.store, model, rules, study)
    storage.database.close()


def test_a_threshold_is_chosen_from_stored_studies_and_put_in_force(config: Path) -> None:
    keep_normals(config)
    result = calibrate(config, "--why", "our scanner")
    assert result.exit_code == 0, result.output
    assert "Slice threshold 1.4 " in result.stdout
    assert "In force from the next study on" in result.stdout
    (made,) = json.loads(run(config, "thresholds", "history", "--json").stdout)
    shown = json.loads(run(config, "thresholds", "show", "--json").stdout)
    assert (made["study_count"], made["false_positive_rate"]) == (6, 0.3)
    assert made["study_reference"] == sorted(NORMALS)
    assert (shown["slice"], shown["why"]) == (made["slice"], "our scanner")
    assert made["slice"] == pytest.approx(1.4)
    (event,) = json.loads(run(config, "audit", "list", "--json").stdout)
    assert event["action"] == "thresholds set"


def test_a_dry_run_changes_nothing(config: Path) -> None:
    keep_normals(config)
    assert facts(config)["slice_threshold"] == pytest.approx(1.4)
    assert json.loads(run(config, "thresholds", "history", "--json").stdout) == []


@pytest.mark.parametrize("mark", ["lesion", "missed"])
def test_studies_that_hold_a_lesion_are_refused_before_anything_is_read(
    config: Path, mark: str
) -> None:
    for number, score in enumerate(NORMALS):
        marked_studies.keep(config, f"lesion {number}", score, Mark(mark))
    result = calibrate(config, query=f"marked={mark}")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert f"marked {mark} hold a lesion" in result.stderr
    assert "marked=normal" in result.stderr


def test_false_alarms_are_tumour_free_too(config: Path) -> None:
    keep_normals(config, NORMALS[:4])
    for number, score in enumerate(NORMALS[4:]):
        marked_studies.keep(config, f"alarm {number}", score, Mark.FALSE_POSITIVE)
    assert facts(config, query="marked=normal,marked=false-positive")["studies"] == 6
    assert facts(config, query="scanner=achieva")["studies"] == 6
    assert facts(config, query="marked=normal")["studies"] == 4


def test_what_reaches_the_threshold_is_not_said_to_be_called_abnormal(config: Path) -> None:
    keep_normals(config)
    marked_studies.keep(config, "tumour", 3.0, Mark.LESION)
    said = calibrate(config, "--dry-run").stdout
    assert "The highest slice score of 1 of them reaches it" in said
    assert "asks for a region of at least" in said
    assert "the most studies that can be called abnormal" in said


def test_a_study_whose_file_is_gone_is_not_used_and_the_others_are(config: Path) -> None:
    keys = keep_normals(config)
    storage = bootstrap.open_storage(settings.load(config))
    with storage.database.read() as session:
        lost = studies.instances_of(session, keys[2])[0].path
    storage.database.close()
    (config.parent / "data" / lost).unlink()
    result = calibrate(config, "--dry-run")
    assert result.exit_code == 0, result.output
    assert f"Not used: {keys[2]}: 1 of its 10 images" in result.stderr
    assert "from 5 studies" in result.stdout


def test_a_score_is_taken_from_the_row_of_the_model_that_gave_it(
    config: Path, model: OnnxModel
) -> None:
    key = marked_studies.keep(config, "one", 1.25, Mark.NORMAL, patient="P7")
    with scoring(config, key, model, SeriesRules()) as answer:
        assert answer == Scored(
            name=key, patient="P7", study_score=1.25, slice_scores=(0.0, 0.625, 1.25)
        )


@pytest.mark.parametrize("changes", [{"model_sha256": "b" * 64}, {"code_version": "0.0.1"}])
def test_a_score_of_another_model_or_program_is_not_taken(
    config: Path, model: OnnxModel, changes: dict[str, Any]
) -> None:
    key = marked_studies.keep(config, "one", 1.25, Mark.NORMAL, **changes)
    with scoring(config, key, model, SeriesRules()) as answer:
        assert isinstance(answer, Refused) or answer.study_score != 1.25


def test_a_score_of_a_series_that_is_not_chosen_any_more_is_not_taken(
    config: Path, model: OnnxModel
) -> None:
    key = marked_studies.keep(config, "one", 1.25, Mark.NORMAL)
    with scoring(config, key, model, SeriesRules(exclude=("flair",))) as answer:
        assert isinstance(answer, Refused)


def test_what_the_model_on_trial_said_counts_for_it(config: Path, tmp_path: Path) -> None:
    folder = changed(tmp_path / "candidate", version="9.0.0", residual="1.6")
    assert run(config, "models", "import", folder).exit_code == 0
    trial = model_toml.describe(folder)
    for number, score in enumerate(NORMALS):
        marked_studies.keep(config, f"normal {number}", score, Mark.NORMAL, trial=trial)
    marked_studies.keep(config, "tumour", 3.0, Mark.LESION, trial=trial)
    found = facts(config, "--model", "9.0.0")
    assert (found["studies"], found["slice_threshold"]) == (6, pytest.approx(1.4))
    assert (found["marked_lesion"], found["marked_lesion_read_by_others"]) == (1, 0)


def test_the_price_in_tumours_says_how_many_it_leaves_out(config: Path) -> None:
    keep_normals(config)
    marked_studies.keep(config, "found", 3.0, Mark.LESION)
    marked_studies.keep(config, "missed", 1.0, Mark.MISSED)
    marked_studies.keep(config, "foreign", 3.0, Mark.LESION, model_sha256="b" * 64)
    marked_studies.keep(config, "older", 3.0, Mark.LESION, code_version="0.0.1")
    marked_studies.keep(config, "refused", 3.0, Mark.LESION, study_score=None)
    said = calibrate(config, "--dry-run").stdout
    assert "Of 2 studies marked lesion or missed the highest slice score of 1 reaches it" in said
    assert "Not counted: 2 so marked that another model or another version" in said
    assert "Not counted: 1 so marked that were not analysed" in said


def test_one_study_of_a_patient_counts(config: Path) -> None:
    keep_normals(config)
    marked_studies.keep(config, "again", 9.0, Mark.NORMAL, patient="normal 0")
    found = facts(config)
    assert (found["studies"], found["of_the_same_patients_left_out"]) == (6, 1)


def test_a_folder_is_read_study_by_study(config: Path) -> None:
    """One study is enough where half of all may pass; its patients are counted for the reader."""
    command = ("thresholds", "calibrate", "--from", demo_study.FOLDER)
    result = run(config, *command, "--false-positive-rate", "0.5", "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == f"Studies in {demo_study.FOLDER}: 1, patients: 1.\n"
    chosen = json.loads(result.stdout)["slice_threshold"]
    shown = json.loads(run(config, "thresholds", "show", "--json").stdout)
    assert (shown["slice"], shown["reference_studies"]) == (chosen, 1)
    said = json.loads(run(config, "thresholds", "history", "--json").stdout)
    assert chosen == pytest.approx(said[0]["study_reference"][0])

"""Which split may be evaluated, and where it is written."""

from pathlib import Path

import pytest

from model_training.collection import Split
from model_training.evaluation import evaluation_run


def test_the_test_split_is_opened_once_a_run(tmp_path: Path) -> None:
    run, model = tmp_path / "run", tmp_path / "model"
    run.mkdir()
    assert evaluation_run.places_for(run, model, Split.TEST).report == model
    (run / "evaluation.json").write_text("{}")
    with pytest.raises(FileExistsError, match="has been opened"):
        evaluation_run.places_for(run, model, Split.TEST)


def test_the_calibration_split_may_be_evaluated_again_and_stays_out_of_the_model_folder(
    tmp_path: Path,
) -> None:
    run, model = tmp_path / "run", tmp_path / "model"
    run.mkdir()
    (run / "evaluation.json").write_text("{}")
    places = evaluation_run.places_for(run, model, Split.CALIBRATION)
    assert places.report.parent == places.inspection.parent == run


def test_outlines_and_scores_of_patients_stay_beside_the_run(tmp_path: Path) -> None:
    places = evaluation_run.places_for(tmp_path / "run", tmp_path / "model", Split.TEST)
    assert places.inspection.parent == tmp_path / "run"


def test_the_training_split_is_not_evaluated(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="calibration"):
        evaluation_run.places_for(tmp_path, tmp_path, Split.TRAIN)

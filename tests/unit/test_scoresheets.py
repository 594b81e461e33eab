"""What is kept of each patient."""

from pathlib import Path

import numpy as np
import pytest

import scored
from model_training.evaluation import scoresheets


def test_kept_sheets_come_back_as_they_were(tmp_path: Path) -> None:
    path = scoresheets.path_of(tmp_path, "patients")
    sheets = [scored.chance_sheet(name="model"), scored.chance_sheet(3, name="slice position")]
    scoresheets.save(path, sheets)
    found = scoresheets.load(path)
    assert list(found) == ["model", "slice position"]
    for sheet in sheets:
        again = found[sheet.name]
        assert again.slice_threshold == sheet.slice_threshold
        assert again.pixel_threshold == sheet.pixel_threshold
        for one, two in zip(sheet.patients, again.patients, strict=True):
            assert one.name == two.name
            for part in scoresheets.ARRAYS:
                assert np.array_equal(getattr(one, part), getattr(two, part))


def test_a_run_that_was_not_evaluated_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="neurosieve-train evaluate"):
        scoresheets.load(tmp_path / "none.npz")


def test_only_evaluated_slices_are_kept_but_pixels_of_the_whole_volume() -> None:
    lesion = np.zeros((4, 8, 8), dtype=np.bool_)
    lesion[2:, :2] = True
    anomaly_map = np.where(lesion, 1.0, 0.0).astype(np.float32)
    anomaly_map[3] = 0
    found = scoresheets.patient_scores(
        "A",
        np.array([0.0, 1.0, 2.0, 3.0]),
        lesion,
        evaluated=np.array([False, True, True, False]),
        heights=np.array([0.0, 0.3, 0.6, 1.0]),
        anomaly_map=anomaly_map,
        pixel_threshold=0.5,
    )
    assert found.slices.tolist() == [1, 2]
    assert found.scores.tolist() == [1.0, 2.0]
    assert found.areas.tolist() == [0, 16]
    assert found.counts.sum() == lesion.size
    assert found.slice_dice.tolist() == [1.0, 0.0]

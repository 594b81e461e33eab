"""Paired differences of two models."""

from dataclasses import replace

import numpy as np
import pytest

import scored
from model_training.evaluation import comparison, resampling, slice_figures
from model_training.evaluation.scoresheets import Scoresheet


def better(sheet: Scoresheet, by: float) -> Scoresheet:
    """The same patients, slices with tumour scored higher."""
    patients = tuple(replace(one, scores=one.scores + by * one.labels) for one in sheet.patients)
    return replace(without_maps(sheet), patients=patients)


def without_maps(sheet: Scoresheet) -> Scoresheet:
    """The slice scores alone."""
    return replace(sheet, pixel_threshold=None)


def test_a_model_does_not_differ_from_itself() -> None:
    sheet = scored.chance_sheet()
    found = comparison.compare([sheet], [sheet])
    assert {one.figure for one in found} == {*comparison.SLICES, *comparison.PIXELS}
    for one in found:
        assert (one.difference.value, one.difference.low, one.difference.high) == (0.0, 0.0, 0.0)


def test_a_model_better_in_every_patient_is_better_in_every_draw() -> None:
    sheet = scored.chance_sheet()
    auroc, *_ = comparison.compare([better(sheet, 0.3)], [without_maps(sheet)])
    assert auroc.figure == "auroc"
    assert 0 < auroc.difference.low < auroc.difference.value


def test_pairing_takes_away_what_both_find_hard() -> None:
    sheet = scored.chance_sheet(12)
    auroc, *_ = comparison.compare([better(sheet, 0.05)], [without_maps(sheet)])
    alone = resampling.interval(slice_figures.auroc(sheet), 12)
    paired = auroc.difference
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)


def test_seeds_are_averaged_and_their_values_kept() -> None:
    sheet = scored.chance_sheet()
    seeds = [better(sheet, 0.1), better(sheet, 0.3)]
    auroc, *_ = comparison.compare(seeds, [without_maps(sheet)])
    assert len(auroc.ours) == 2
    assert auroc.difference.value == pytest.approx(np.mean(auroc.ours) - auroc.theirs[0])


def test_other_patients_cannot_be_paired() -> None:
    sheet = scored.chance_sheet()
    others = replace(sheet, patients=sheet.patients[::-1])
    with pytest.raises(ValueError, match="different patients"):
        comparison.compare([sheet], [others])


def test_without_maps_on_both_sides_only_slices_are_compared() -> None:
    sheet = scored.chance_sheet()
    found = comparison.compare([sheet], [without_maps(sheet)])
    assert {one.figure for one in found} == set(comparison.SLICES)

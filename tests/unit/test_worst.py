"""Which patients and slices a reader should look at."""

import scored
from model_training.evaluation import worst
from model_training.evaluation.worst import Failure

NUMBERS = {"A": "patient 0", "loud": "patient 1", "quiet": "patient 2"}


def test_missed_tumours_come_lowest_first_and_false_alarms_highest_first() -> None:
    sheet = scored.sheet(scored.patient([0.1, 0.9, 0.4, 0.2], [0, 0, 50, 60]))
    found = [(one.failure, one.slice) for one in worst.slices(sheet, NUMBERS)]
    assert found == [
        (Failure.MISSED, 3),
        (Failure.MISSED, 2),
        (Failure.FALSE, 1),
        (Failure.FALSE, 0),
    ]


def test_one_patient_does_not_fill_the_page() -> None:
    sheet = scored.sheet(
        scored.patient([0.9] * 20, [0] * 20, name="loud"),
        scored.patient([0.1] * 20, [0] * 20, name="quiet"),
    )
    names = [one.name for one in worst.slices(sheet, NUMBERS)]
    assert names == ["patient 1"] * worst.SLICES_A_PATIENT + ["patient 2"] * worst.SLICES_A_PATIENT


def test_a_false_alarm_says_how_far_the_tumour_is() -> None:
    sheet = scored.sheet(scored.patient([0.1, 0.8, 0.9, 0.7], [0, 0, 0, 90]))
    false = {one.slice: one.slices_to_tumour for one in worst.slices(sheet, NUMBERS)}
    assert false == {3: 0, 2: 1, 1: 2, 0: 3}


def test_best_median_and_worst_patients_are_different_ones() -> None:
    found = worst.patients([0.1, 0.9, 0.5, 0.4, 0.8, 0.2, 0.6])
    assert found["best"] == [1, 4]
    assert found["worst"] == [5, 0]
    assert found["median"] == [6, 2]


def test_few_patients_are_shown_once_each() -> None:
    two = worst.patients([0.5, 0.6]).values()
    assert sorted(one for group in two for one in group) == [0, 1]
    assert worst.patients([0.5]) == {"best": [0], "median": [], "worst": []}

"""Which of several readable series is read, and what is said of the one that stands behind."""

import random
from typing import Any

import pytest
from pydicom.dataset import Dataset

import builders
from agent.dicom import series


def flair(number: int = 4, name: str = "flair", **values: Any) -> list[Dataset]:
    """A small axial FLAIR with some header values changed; None takes an attribute away."""
    datasets = builders.flair_series(rows=8, columns=8, series=name, number=number)
    for dataset in datasets:
        for keyword, value in values.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)
    return datasets


@pytest.mark.parametrize(
    ("worse", "said"),
    [
        ({"ContrastBolusAgent": "Gadovist"}, "after contrast medium"),
        ({"SeriesDescription": "AX T2 FLAIR +C"}, "after contrast medium"),
        ({"SeriesDescription": "AX FLAIR POST GAD"}, "after contrast medium"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "computed from other images"),
        ({"SeriesDescription": "AX brain"}, "only its timing"),
        ({"InversionTime": None}, "do not confirm"),
    ],
)
def test_the_better_of_two_flairs_is_read_and_the_other_says_why(
    worse: dict[str, Any], said: str
) -> None:
    best = flair()
    study = best + flair(9, "second", **worse)

    choice = series.choose(study)

    assert choice.series_uid == best[0].SeriesInstanceUID
    assert said in choice.decisions[1].reason
    assert "series 4 is better" in choice.decisions[1].reason


def test_a_reformatted_or_contrast_enhanced_flair_is_read_where_there_is_no_better_one() -> None:
    choice = series.choose(
        flair(ImageType=["DERIVED", "SECONDARY", "MPR"], ContrastBolusAgent="Dotarem")
    )

    assert choice.series_uid is not None
    assert "reformatted T2-FLAIR" in choice.sentence
    assert "after contrast medium" in choice.sentence


@pytest.mark.parametrize("name", ["AX FLAIR PRE CONTRAST", "AX FLAIR w/o", "FLAIR nativ"])
def test_a_series_before_contrast_medium_is_not_taken_for_one_after_it(name: str) -> None:
    choice = series.choose(flair(SeriesDescription=name))

    assert "after contrast" not in choice.sentence


def test_a_whole_stack_is_preferred_to_one_with_a_missing_slice() -> None:
    broken = flair(9, "second")
    del broken[11]

    choice = series.choose(flair() + broken)

    assert "no regular stack" in choice.decisions[1].reason


def test_a_stack_with_a_missing_slice_is_still_chosen_when_alone() -> None:
    """Reading it then says which slice is missing, which "no FLAIR" would hide."""
    datasets = flair()
    del datasets[11]

    assert series.choose(datasets).series_uid is not None


def test_of_two_equal_series_the_later_is_the_repeat() -> None:
    choice = series.choose(flair() + flair(5, "repeat"))

    assert [decision.chosen for decision in choice.decisions] == [False, True]


def test_the_order_of_the_headers_has_no_influence() -> None:
    study = flair() + flair(5, "repeat") + flair(5, "same number")
    expected = series.choose(study)

    random.Random(1).shuffle(study)

    assert series.choose(study) == expected

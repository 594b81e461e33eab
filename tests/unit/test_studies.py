"""Verdicts on whole studies and regions off the known lesions."""

import numpy as np
import pytest

from model_training.evaluation import studies
from model_training.evaluation.studies import Study

SHAPE = (6, 40, 40)
EVERY_SLICE = np.ones(6, dtype=np.bool_)
KNOWN = np.s_[2:4, 10:20, 10:20]


def read(name: str, *regions: tuple[slice, slice, slice], **kwargs: bool) -> Study:
    """A study with the given regions and one known lesion, voxels of 5 x 1 x 1 mm."""
    labels, lesion = np.zeros(SHAPE, dtype=np.uint16), np.zeros(SHAPE, dtype=np.bool_)
    lesion[KNOWN] = True
    for number, place in enumerate(regions, start=1):
        labels[place] = number
    return studies.study(
        name, labels, lesion, evaluated=EVERY_SLICE, spacing_mm=(5.0, 1.0, 1.0), **kwargs
    )


def test_a_region_beside_a_known_lesion_is_explained_and_one_far_away_is_not() -> None:
    beside, far = np.s_[2:3, 22:26, 10:20], np.s_[5:6, 30:34, 30:34]
    found = read("ms_1", beside, far)
    assert (found.regions, found.regions_elsewhere) == (2, 1)
    assert (found.slices_marked, found.slices_marked_elsewhere) == (2, 1)


def test_what_is_marked_far_from_the_lesion_counts_even_in_a_region_that_touches_it() -> None:
    found = read("ms_1", np.s_[2:3, 10:30, 10:20])
    assert found.regions_elsewhere == 0
    assert found.marked_ml == pytest.approx(200 * 0.005)
    assert found.marked_elsewhere_ml == pytest.approx(7 * 10 * 0.005)  # beyond 3 mm


def test_groups_follow_the_names_and_all_come_last() -> None:
    names = ("nichart_1", "ms_1", "nichart_2")
    groups = studies.by_group([*(read(name) for name in names), read("ms_2", KNOWN)])
    assert [(one.name, one.studies) for one in groups] == [("ms", 2), ("nichart", 2), ("all", 4)]
    assert groups[0].abnormal.value == 0.5


def test_what_may_be_a_patients_name_names_no_group() -> None:
    names = ("Doe_Jane", "Doe_John", "Roe_1961", "ms_1", "ms_2")
    groups = studies.grouped([read(name) for name in names])
    assert groups == {"ms": [3, 4], "others": [0, 1, 2]}


def test_masses_are_counted_only_where_every_study_says_what_it_is() -> None:
    known = [read("a", mass_like=True), read("b", mass_like=False)]
    counted = studies.alarms("all", known).mass_like
    assert counted is not None
    assert counted.value == 0.5
    assert studies.alarms("all", [*known, read("c")]).mass_like is None

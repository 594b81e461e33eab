"""Marks counted by lesion and by region."""

import numpy as np
import pytest

from model_training.evaluation import detection_rates, detections
from model_training.evaluation.detections import Marks

SHAPE = (12, 40, 40)
VOXEL_ML = 0.005
EVERY_SLICE = np.ones(SHAPE[0], dtype=np.bool_)


def box(*places: tuple[slice, slice, slice]) -> np.ndarray:
    """A mask of boxes."""
    mask = np.zeros(SHAPE, dtype=np.bool_)
    for place in places:
        mask[place] = True
    return mask


def counted(marked: np.ndarray, lesion: np.ndarray, evaluated: np.ndarray = EVERY_SLICE) -> Marks:
    pieces = detections.pieces(lesion, VOXEL_ML)
    return detections.count(marked, lesion, pieces, evaluated=evaluated, voxel_ml=VOXEL_ML)


LESION = np.s_[2:6, 10:20, 10:20]  # 400 voxels, 2 ml
ELSEWHERE = np.s_[8:10, 30:35, 30:35]


def test_a_tumour_is_hit_with_a_tenth_of_its_volume_and_touched_with_less() -> None:
    tenth = counted(box(np.s_[2:6, 10:11, 10:20]), box(LESION))
    less = counted(box(np.s_[2:6, 10:11, 10:18]), box(LESION))
    found = detection_rates.summary([tenth, less])
    assert found["tumours_hit"].value == 0.5
    assert found["tumours_touched"].value == 1.0


def test_a_region_without_lesion_is_false_and_fires_in_its_tumour_free_slices() -> None:
    marks = counted(box(LESION, ELSEWHERE), box(LESION))
    assert (marks.regions, marks.false_regions) == (2, 1)
    assert marks.clean_slices == 8
    assert marks.firing_slices == 2
    assert marks.components == 2


def test_two_pieces_in_one_slice_are_two_detections_in_one_firing_slice() -> None:
    marks = counted(box(np.s_[8:9, 1:4, 1:4], np.s_[8:9, 30:33, 30:33]), box(LESION))
    assert (marks.components, marks.firing_slices) == (2, 1)


def test_slices_that_are_not_evaluated_do_not_fire() -> None:
    evaluated = EVERY_SLICE.copy()
    evaluated[8:] = False
    marks = counted(box(ELSEWHERE), box(LESION), evaluated)
    assert (marks.components, marks.firing_slices, marks.clean_slices) == (0, 0, 4)


def test_one_region_over_the_whole_brain_is_no_true_region() -> None:
    marks = counted(np.ones(SHAPE, dtype=np.bool_), box(LESION))
    assert marks.covered == 1.0
    assert marks.false_regions == 1


def test_overlap_of_a_lesion_leaves_out_what_lies_on_another_one() -> None:
    second = np.s_[2:6, 22:30, 10:20]
    marked = box(np.s_[2:6, 10:30, 10:20])  # both, and the bridge of two rows between them
    marks = counted(marked, box(LESION, second))
    first, _ = marks.lesions
    assert first.covered == 1.0
    assert first.dice == pytest.approx(2 * 400 / (400 + 400 + 80))


def test_specks_of_an_expert_mask_are_no_lesions() -> None:
    lesion = box(LESION, np.s_[9:10, 1:4, 1:4])  # 0.045 ml
    assert len(detections.pieces(lesion, VOXEL_ML)) == 1


def test_lesions_fall_into_the_bin_of_their_size() -> None:
    marks = counted(box(LESION), box(LESION, np.s_[8:10, 5:10, 5:10]))  # 2 ml and 0.25 ml
    small, middle, *rest = detection_rates.by_size([marks])
    assert (small.lesions, small.found.value, small.dice.value) == (1, 0.0, 0.0)
    assert (middle.lesions, middle.found.value, middle.dice.value) == (1, 1.0, 1.0)
    assert [one.lesions for one in rest] == [0, 0]


def test_regions_follow_the_shipped_rule() -> None:
    values = np.zeros(SHAPE, dtype=np.float32)
    values[LESION] = 0.3
    values[3, 14, 14] = 0.0  # a hole
    values[8, 30:33, 30:33] = 0.3  # too small
    values[10:12, 0:15, 0:15] = 0.3  # large, in no anomalous slice
    anomalous = EVERY_SLICE.copy()
    anomalous[9:] = False
    regions = detections.kept_regions(values, anomalous, threshold=0.2, least_voxels=100)
    assert np.array_equal(regions > 0, box(LESION))
    assert regions.max() == 1

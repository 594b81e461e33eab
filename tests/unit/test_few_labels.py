"""What a classifier on frozen features reaches with few labelled groups."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import drawn_images
from model_training.collection import Split
from model_training.image_sets import few_labels, view_classifier
from model_training.image_sets.few_labels import Labelled, Row
from model_training.image_sets.image_set import ImageSet


@pytest.fixture(scope="module", autouse=True)
def few_trees() -> Iterator[None]:
    """Twenty trees find this as well as two hundred."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(view_classifier, "TREES", 20)
        yield


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return drawn_images.image_set(groups=400, tumour=False)


def known(images: ImageSet, strength: float) -> Labelled:
    """Two views of noise that tells the classes apart as far as `strength` says."""
    features = drawn_images.features(images, strength=strength).astype(np.float32)
    return Labelled(
        views=np.stack([features, features]),
        abnormal=images.abnormal,
        groups=images.groups,
        train=images.part(Split.TRAIN),
        calibration=images.part(Split.CALIBRATION),
        test=images.part(Split.TEST),
    )


def curve(images: ImageSet, strength: float) -> tuple[Row, ...]:
    return few_labels.curve(known(images, strength))


@pytest.fixture(scope="module")
def telling(images: ImageSet) -> tuple[Row, ...]:
    return curve(images, 3.0)


def test_more_labels_reach_more(telling: tuple[Row, ...]) -> None:
    reached = [row.figures.auroc.value for row in telling]
    assert reached[0] < reached[-1]
    assert reached[-1] > 0.95


def test_the_last_row_uses_all_training_groups_once(telling: tuple[Row, ...]) -> None:
    assert (telling[-1].labelled_groups, telling[-1].draws) == (200, 1)


def test_few_labels_are_drawn_several_times(telling: tuple[Row, ...]) -> None:
    assert telling[0].draws == few_labels.DRAWS
    assert telling[0].lowest < telling[0].highest


def test_features_that_say_nothing_stay_at_chance(images: ImageSet) -> None:
    last = curve(images, 0.0)[-1].figures.auroc
    assert last.low < 0.5 < last.high


def test_counts_above_what_there_is_are_left_out() -> None:
    few = drawn_images.image_set(groups=40, tumour=False)
    assert [row.labelled_groups for row in curve(few, 3.0)] == [10, 20]


def test_both_classes_are_among_few_labels(images: ImageSet) -> None:
    train = images.splits == "train"
    chosen = few_labels.labelled(
        images.abnormal, images.groups, train, 10, np.random.default_rng(0)
    )
    assert len(np.unique(images.groups[chosen & images.abnormal])) == 5
    assert len(np.unique(images.groups[chosen])) == 10


def test_labels_come_from_the_training_part_alone(images: ImageSet) -> None:
    train = images.splits == "train"
    chosen = few_labels.labelled(
        images.abnormal, images.groups, train, 30, np.random.default_rng(0)
    )
    assert not (chosen & ~train).any()


def test_the_parts_may_not_share_a_group(images: ImageSet) -> None:
    first = np.arange(len(images.groups)) % 2 == 0
    with pytest.raises(ValueError, match="share groups"):
        replace(known(images, 1.0), train=first, test=~first)


def test_calibration_labels_do_not_reach_a_classifier_of_few_labels(images: ImageSet) -> None:
    right = known(images, 3.0)
    wrong = replace(right, abnormal=right.abnormal ^ right.calibration)
    first, second = (few_labels.curve(one, counts=(10,))[0].figures for one in (right, wrong))
    assert first == second

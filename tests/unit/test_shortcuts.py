"""Whether an audit finds what tells two classes apart without showing a tumour."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import drawn_images
from model_training.cli import app
from model_training.image_sets import classifiers, group_figures, shortcut_features, shortcuts
from model_training.image_sets.classifiers import Kind
from model_training.image_sets.group_figures import Predictions
from model_training.image_sets.image_set import ImageSet
from model_training.image_sets.shortcut_features import Shortcut
from model_training.image_sets.shortcuts import Audit


@pytest.fixture(scope="module", autouse=True)
def few_trees() -> Iterator[None]:
    """Ten trees find these traces as well as a hundred."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifiers, "TREES", 10)
        yield


@pytest.fixture(scope="module")
def padded() -> ImageSet:
    """Abnormal images come with black margins, as from another source."""
    return drawn_images.image_set(abnormal_margin=6, tumour=False)


@pytest.fixture(scope="module")
def audited(padded: ImageSet) -> Audit:
    return shortcuts.audit(padded)


def auroc(images: ImageSet, shortcut: Shortcut) -> float:
    features = shortcut_features.of(images)[shortcut]
    said = classifiers.cross_fitted(Kind.TREES, features, images.abnormal, images.groups)
    figures = group_figures.measure([said], images.abnormal, images.groups)
    return figures.auroc.value


def test_margins_that_come_with_a_class_confound_the_set(audited: Audit) -> None:
    assert audited.confounded
    assert "confounded" in shortcuts.sentence(audited)


def test_the_border_gives_margins_away(padded: ImageSet) -> None:
    assert auroc(padded, Shortcut.BORDER) > 0.95


def test_the_head_alone_does_not_give_margins_away(padded: ImageSet) -> None:
    assert auroc(padded, Shortcut.HEAD) < 0.7


def test_the_border_cannot_see_a_tumour() -> None:
    assert auroc(drawn_images.image_set(tumour=True), Shortcut.BORDER) < 0.7


def test_a_set_of_one_source_is_not_called_confounded() -> None:
    """No classes to find: the images differ by chance alone."""
    plain = drawn_images.image_set(groups=80, tumour=False)
    features = shortcut_features.of(plain)[Shortcut.ALL]
    said = classifiers.cross_fitted(Kind.LOGISTIC, features, plain.abnormal, plain.groups)
    figures = group_figures.measure([said], plain.abnormal, plain.groups)
    assert figures.auroc.value < shortcuts.CONFOUNDED_AUROC


def test_every_shortcut_is_tried_with_both_classifiers(audited: Audit) -> None:
    tried = {(row.shortcut, row.classifier) for row in audited.rows}
    assert tried == {(one, kind) for one in set(Shortcut) - {Shortcut.SIZE} for kind in Kind}


def test_stored_sizes_are_a_shortcut_where_they_differ(padded: ImageSet) -> None:
    sizes = np.where(padded.abnormal[:, None], (200, 180), (256, 256))
    other = ImageSet(
        images=padded.images,
        sizes=sizes,
        abnormal=padded.abnormal,
        groups=padded.groups,
        splits=padded.splits,
    )
    assert auroc(other, Shortcut.SIZE) == 1.0


def test_the_majority_rate_stands_first_in_the_table(audited: Audit) -> None:
    assert shortcuts.lines(audited)[0][:3] == ("always the larger class", "", ".500")


def test_training_and_test_may_not_share_a_group(padded: ImageSet) -> None:
    first = np.arange(len(padded.groups)) % 2 == 0
    with pytest.raises(ValueError, match="share groups"):
        shortcuts.audit_split(padded, train=first, test=~first)


def test_no_group_is_on_both_sides_of_a_fold(padded: ImageSet) -> None:
    for train, held in classifiers.folds(padded.abnormal, padded.groups, 5):
        assert not set(padded.groups[train]) & set(padded.groups[held])


def test_too_few_groups_for_the_folds_are_refused() -> None:
    few = drawn_images.image_set(groups=6)
    with pytest.raises(ValueError, match="has 3 groups"):
        shortcuts.audit(few)


def test_a_group_counts_with_all_its_images_in_the_interval() -> None:
    """Twice the same images tell no more than once: the interval must not shrink."""
    chance = np.random.default_rng(3)
    abnormal = np.arange(60) % 2 == 0
    said = Predictions(scores=chance.normal(abnormal, 1.0), called=chance.random(60) < 0.5)
    twice = Predictions(scores=np.tile(said.scores, 2), called=np.tile(said.called, 2))
    names = np.arange(60).astype(np.str_)
    once = group_figures.measure([said], abnormal, names)
    doubled = group_figures.measure([twice], np.tile(abnormal, 2), np.tile(names, 2))
    assert (doubled.auroc.low, doubled.auroc.high) == pytest.approx(
        (once.auroc.low, once.auroc.high)
    )


def test_ties_count_half_in_the_auroc() -> None:
    abnormal = np.array([True, True, False, False])
    said = Predictions(scores=np.array([2.0, 1.0, 1.0, 0.0]), called=abnormal)
    figures = group_figures.measure([said], abnormal, np.array(["a", "b", "c", "d"]))
    assert figures.auroc.value == pytest.approx(3.5 / 4)


def test_balanced_accuracy_is_one_half_for_whoever_says_one_class() -> None:
    abnormal = np.array([True, True, True, False])
    said = Predictions(scores=np.ones(4), called=np.ones(4, dtype=np.bool_))
    figures = group_figures.measure([said], abnormal, np.array(["a", "b", "c", "d"]))
    assert figures.balanced_accuracy.value == pytest.approx(0.5)


def test_the_command_says_what_a_collection_lacks(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["audit", str(tmp_path / "nowhere")])
    assert ran.exit_code == 1
    assert "There is no collection" in ran.stderr


def test_the_command_prints_the_audit_as_json(tmp_path: Path, padded: ImageSet) -> None:
    drawn_images.write_collection(tmp_path, padded)
    ran = CliRunner().invoke(app, ["audit", str(tmp_path), "--json"])
    assert json.loads(ran.stdout)["confounded"] is True

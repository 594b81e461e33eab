"""How well a frozen GAN's features part two classes with few labelled groups, and with all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_training.evaluation import metrics
from model_training.evaluation.metrics import Labels
from model_training.image_sets import group_figures, view_classifier
from model_training.image_sets.group_figures import Figures, Groups, Predictions
from model_training.image_sets.view_classifier import Views

COUNTS = (10, 20, 40, 80, None)  # labelled groups of both classes; None: all there are
DRAWS = 5
FEWEST = 2  # labelled groups of the rarer class
HALF = 0.5  # the threshold where labels are too few to choose one
SEED = 1


@dataclass(frozen=True, kw_only=True)
class Row:
    """Figures with so many labelled groups, as the mean over the draws.

    `lowest` and `highest` are the accuracies of the worst and the best draw: how much depends on
    which groups were labelled. The intervals say how much depends on the test groups.
    """

    labelled_groups: int
    draws: int
    figures: Figures
    lowest: float
    highest: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """Frozen features, and what is known of the images; the parts share no group.

    `views` must come from a model that saw no image of `calibration` or `test`. Raises ValueError
    where two parts share a group.
    """

    views: Views
    abnormal: Labels
    groups: Groups
    train: Labels
    calibration: Labels
    test: Labels

    def __post_init__(self) -> None:
        known = [set(self.groups[part]) for part in (self.train, self.calibration, self.test)]
        if len(set.union(*known)) < sum(map(len, known)):
            raise ValueError("Training, calibration and test share groups; split them by group.")


def curve(known: Labelled, counts: Sequence[int | None] = COUNTS) -> tuple[Row, ...]:
    """One row for each number of labelled groups that the training part has."""
    available = len(np.unique(known.groups[known.train]))
    chance = np.random.default_rng(SEED)
    rows = []
    for count in counts:
        if count is None:
            rows.append(row(available, [with_all(known)], known))
        elif count < available:
            said = [with_few(known, count, chance) for _ in range(DRAWS)]
            rows.append(row(count, said, known))
    return tuple(rows)


def with_all(known: Labelled) -> Predictions:
    """Learnt from all training images, with the threshold of best accuracy in calibration."""
    learnt = view_classifier.learn(known.views[:, known.train], known.abnormal[known.train])
    tried = learnt.scores(known.views[:, known.calibration])
    threshold = metrics.best_accuracy_threshold(tried, known.abnormal[known.calibration])
    scores = learnt.scores(known.views[:, known.test])
    return Predictions(scores=scores, called=scores >= threshold)


def with_few(known: Labelled, count: int, chance: np.random.Generator) -> Predictions:
    """Learnt from so many training groups drawn at random; no other label takes part."""
    chosen = labelled(known.abnormal, known.groups, known.train, count, chance)
    learnt = view_classifier.learn(known.views[:, chosen], known.abnormal[chosen])
    scores = learnt.scores(known.views[:, known.test])
    return Predictions(scores=scores, called=scores >= HALF)


def labelled(
    abnormal: Labels, groups: Groups, train: Labels, count: int, chance: np.random.Generator
) -> Labels:
    """The training images of so many groups drawn at random, both classes in proportion."""
    of_class = [np.unique(groups[train & members]) for members in (abnormal, ~abnormal)]
    share = len(of_class[0]) / sum(map(len, of_class))
    first = int(np.clip(round(share * count), FEWEST, count - FEWEST))
    drawn = [
        chance.choice(names, min(wanted, len(names)), replace=False)
        for names, wanted in zip(of_class, (first, count - first), strict=True)
    ]
    return train & np.isin(groups, np.concatenate(drawn))


def row(count: int, said: Sequence[Predictions], known: Labelled) -> Row:
    """The mean figures of several draws."""
    abnormal = known.abnormal[known.test]
    accuracies = [float(np.mean(one.called == abnormal)) for one in said]
    return Row(
        labelled_groups=count,
        draws=len(said),
        figures=group_figures.measure(said, abnormal, known.groups[known.test]),
        lowest=min(accuracies),
        highest=max(accuracies),
    )

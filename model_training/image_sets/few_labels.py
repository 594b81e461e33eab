"""How well a frozen GAN's features part two classes when only few groups have labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_training.evaluation.metrics import Labels
from model_training.image_sets import classifiers, group_figures
from model_training.image_sets.classifiers import Features, Kind
from model_training.image_sets.group_figures import Figures, Groups, Predictions

COUNTS = (10, 30, 100, None)  # labelled groups; None: all there are
DRAWS = 5
FEWEST = 2  # labelled groups of the rarer class
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


def curve(
    features: Features,
    abnormal: Labels,
    groups: Groups,
    *,
    train: Labels,
    test: Labels,
    counts: Sequence[int | None] = COUNTS,
) -> tuple[Row, ...]:
    """One row for each number of labelled groups that the training part has.

    `features` `[image, feature]` must come from a model that saw no image of `test`. Raises
    ValueError where training and test share a group.
    """
    if np.intersect1d(groups[train], groups[test]).size:
        raise ValueError("Training and test images share groups; split them by group.")
    available = len(np.unique(groups[train]))
    chance = np.random.default_rng(SEED)
    rows = []
    for count in counts:
        if count is not None and count >= available:
            continue
        draws = 1 if count is None else DRAWS
        said = []
        for _ in range(draws):
            chosen = train if count is None else labelled(abnormal, groups, train, count, chance)
            learnt = classifiers.learn(
                Kind.LOGISTIC, features[chosen], abnormal[chosen], groups[chosen]
            )
            said.append(learnt.predictions(features[test]))
        rows.append(row(count or available, said, abnormal[test], groups[test]))
    return tuple(rows)


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


def row(count: int, said: Sequence[Predictions], abnormal: Labels, groups: Groups) -> Row:
    """The mean figures of several draws."""
    accuracies = [float(np.mean(one.called == abnormal)) for one in said]
    return Row(
        labelled_groups=count,
        draws=len(said),
        figures=group_figures.measure(said, abnormal, groups),
        lowest=min(accuracies),
        highest=max(accuracies),
    )

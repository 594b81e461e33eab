"""Accuracy, balanced accuracy and AUROC of single images, with intervals over their groups."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.evaluation import resampling
from model_training.evaluation.metrics import Floats, Labels
from model_training.evaluation.resampling import Figure, Interval, Weights, divided

Groups = NDArray[np.str_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What was said of each image: how abnormal, and whether it is called abnormal."""

    scores: Floats
    called: Labels


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How well decisions and scores part two classes."""

    accuracy: Interval
    balanced_accuracy: Interval
    auroc: Interval


def measure(said: Sequence[Predictions], abnormal: Labels, groups: Groups) -> Figures:
    """Figures of all images; the mean of several predictions of the same images."""
    names, places = np.unique(groups, return_inverse=True)
    rights = [one.called == abnormal for one in said]

    def interval(parts: Sequence[Figure]) -> Interval:
        return resampling.interval(mean(parts), len(names))

    return Figures(
        accuracy=interval([share(right, places) for right in rights]),
        balanced_accuracy=interval([balanced(right, abnormal, places) for right in rights]),
        auroc=interval([ranking(one.scores, abnormal, places) for one in said]),
    )


def mean(parts: Sequence[Figure]) -> Figure:
    """The mean of several figures of the same draw."""
    return lambda weights: np.asarray(np.mean([part(weights) for part in parts], axis=0))


def majority(abnormal: Labels) -> float:
    """Accuracy of whoever always says the larger class."""
    return float(max(abnormal.mean(), 1 - abnormal.mean()))


def share(right: Labels, places: NDArray[np.intp]) -> Figure:
    """Share of images that are right; `places` gives the group of each."""
    return resampling.ratio(sums(right, places), sums(np.ones(len(right)), places))


def sums(values: NDArray[np.generic], places: NDArray[np.intp]) -> Floats:
    """The sum of the values of each group."""
    return np.bincount(places, weights=values).astype(np.float64)


def balanced(right: Labels, abnormal: Labels, places: NDArray[np.intp]) -> Figure:
    """Mean of the shares of both classes."""
    first, second = (
        resampling.ratio(sums(right & members, places), sums(members, places))
        for members in (abnormal, ~abnormal)
    )
    return lambda weights: (first(weights) + second(weights)) / 2


def ranking(scores: Floats, abnormal: Labels, places: NDArray[np.intp]) -> Figure:
    """Probability that an abnormal image scores higher than a normal one; ties count half."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    places, positive = places[order], abnormal[order]

    def figure(weights: Weights) -> Floats:
        each = weights[:, places]
        above = np.add.reduceat(each * positive, starts, axis=1)
        below = np.add.reduceat(each * ~positive, starts, axis=1)
        wins = above * (np.cumsum(below, axis=1) - below / 2)
        return divided(wins.sum(axis=1), above.sum(axis=1) * below.sum(axis=1))

    return figure

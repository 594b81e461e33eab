"""Accuracy, balanced accuracy and AUROC of single images, with intervals from drawing groups anew."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training import resampling
from model_training.metrics import Floats, Labels
from model_training.resampling import Figure, Interval, Weights, divided

Groups = NDArray[np.str_]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How well decisions and scores part two classes, over so many groups."""

    accuracy: Interval
    balanced_accuracy: Interval
    auroc: Interval


def measure(scores: Floats, called: Labels, abnormal: Labels, groups: Groups) -> Figures:
    """Figures of all images; `called` are those decided to be abnormal."""
    names, places = np.unique(groups, return_inverse=True)
    count = len(names)
    parts = {
        "accuracy": share(called == abnormal, places),
        "balanced_accuracy": balanced(called == abnormal, abnormal, places),
        "auroc": ranking(scores, abnormal, places),
    }
    return Figures(**{name: resampling.interval(part, count) for name, part in parts.items()})


def majority(abnormal: Labels) -> float:
    """Accuracy of whoever always says the larger class."""
    return float(max(abnormal.mean(), 1 - abnormal.mean()))


def share(right: Labels, places: NDArray[np.intp]) -> Figure:
    """Share of images that are right; `places` gives the group of each."""
    return resampling.ratio(
        np.bincount(places, weights=right), np.bincount(places).astype(np.float64)
    )


def balanced(right: Labels, abnormal: Labels, places: NDArray[np.intp]) -> Figure:
    """Mean of the shares of both classes."""
    count = int(places.max()) + 1
    of_class = []
    for members in (abnormal, ~abnormal):
        hits = np.bincount(places[members], weights=right[members], minlength=count)
        size = np.bincount(places[members], minlength=count).astype(np.float64)
        of_class.append(resampling.ratio(hits, size))
    return lambda weights: (of_class[0](weights) + of_class[1](weights)) / 2


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

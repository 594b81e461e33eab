"""Small classifiers on features, with thresholds chosen only from the images they learnt from."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from model_training.evaluation import metrics
from model_training.evaluation.metrics import Floats, Labels
from model_training.image_sets.group_figures import Groups, Predictions

Features = NDArray[np.floating]  # [image, feature]

FOLDS = 5
INNER_FOLDS = 4
PENALTY = 0.1  # sklearn's C, on standardised features
TREES = 100
LEAF = 2
ENOUGH_GROUPS = 50  # with fewer, a threshold is better not chosen but left at one half
SEED = 1


class Kind(StrEnum):
    """One linear and one that finds interactions: a shortcut may be either."""

    LOGISTIC = "logistic regression"
    TREES = "extra trees"


class Model(Protocol):
    """What sklearn's classifiers have in common."""

    def fit(self, features: Features, abnormal: Labels) -> Any:
        """Learn."""

    def predict_proba(self, features: Features) -> Floats:
        """Probabilities `[image, class]`."""


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """A classifier and the probability from which an image is called abnormal."""

    model: Model
    threshold: float

    def scores(self, features: Features) -> Floats:
        """Probability of abnormal `[image]`."""
        return np.asarray(self.model.predict_proba(features)[:, 1], dtype=np.float64)

    def predictions(self, features: Features) -> Predictions:
        """Scores, and what reaches the threshold."""
        scores = self.scores(features)
        return Predictions(scores=scores, called=scores >= self.threshold)


def make(kind: Kind) -> Model:
    """A fresh classifier."""
    model: Model
    if kind is Kind.LOGISTIC:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=2000))
    else:
        model = ExtraTreesClassifier(TREES, min_samples_leaf=LEAF, random_state=SEED)
    return model


def learn(kind: Kind, features: Features, abnormal: Labels, groups: Groups) -> Learnt:
    """Learns from all, with the threshold of best accuracy in folds inside them."""
    model = make(kind)
    model.fit(features, abnormal)
    if len(np.unique(groups)) < ENOUGH_GROUPS:
        return Learnt(model=model, threshold=0.5)
    scores = np.zeros(len(abnormal))
    for train, held in folds(abnormal, groups, INNER_FOLDS):
        inner = make(kind)
        inner.fit(features[train], abnormal[train])
        scores[held] = inner.predict_proba(features[held])[:, 1]
    return Learnt(model=model, threshold=metrics.best_accuracy_threshold(scores, abnormal))


def cross_fitted(kind: Kind, features: Features, abnormal: Labels, groups: Groups) -> Predictions:
    """Predictions for all images, each from the folds without its group."""
    scores, called = np.zeros(len(abnormal)), np.zeros(len(abnormal), dtype=np.bool_)
    for train, held in folds(abnormal, groups, FOLDS):
        learnt = learn(kind, features[train], abnormal[train], groups[train])
        said = learnt.predictions(features[held])
        scores[held], called[held] = said.scores, said.called
    return Predictions(scores=scores, called=called)


def folds(
    abnormal: Labels, groups: Groups, count: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Indices of training and held-out images; no group on both sides, classes in proportion.

    Raises ValueError where a class has fewer groups than there are folds.
    """
    rarer = min(len(np.unique(groups[abnormal])), len(np.unique(groups[~abnormal])))
    if rarer < count:
        raise ValueError(
            f"One of the classes has {rarer} groups; {count} are needed to keep each group on one "
            "side of every fold. Add images of more patients."
        )
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=SEED)
    yield from splitter.split(np.zeros(len(abnormal)), abnormal, groups)

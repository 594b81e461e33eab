"""Two classifiers on frozen features of several views of each image, and their mean opinion.

A kernel machine and a forest err on different images, so that their mean is better than either.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from model_training.evaluation.metrics import Floats, Labels

Views = NDArray[np.float32]  # [view, image, feature]

SLACK = 10.0  # sklearn's C
REACH = 0.5  # sklearn's gamma times the number of features
STEEPNESS = 1.5  # of the logistic curve that makes a probability of the kernel machine's answer
TREES = 200
SHARE = 0.1  # of the features, tried at each fork
SEED = 1


@dataclass(frozen=True, kw_only=True)
class ViewClassifier:
    """Both, as they were learnt."""

    machine: Pipeline
    forest: ExtraTreesClassifier

    def scores(self, views: Views) -> Floats:
        """Probability of abnormal `[image]`, the mean over views and classifiers."""
        return np.asarray(np.mean([self._of_view(view) for view in views], axis=0))

    def _of_view(self, features: NDArray[np.float32]) -> Floats:
        machine = expit(STEEPNESS * self.machine.decision_function(features))
        return np.asarray((machine + self.forest.predict_proba(features)[:, 1]) / 2)


def learn(views: Views, abnormal: Labels) -> ViewClassifier:
    """Learns from every view of every image as if each were an image of its own."""
    features = views.reshape(-1, views.shape[2])
    wanted = np.tile(abnormal, len(views))
    machine = make_pipeline(StandardScaler(), SVC(C=SLACK, gamma=REACH / features.shape[1]))
    forest = ExtraTreesClassifier(TREES, max_features=SHARE, random_state=SEED)
    machine.fit(features, wanted)
    forest.fit(features, wanted)
    return ViewClassifier(machine=machine, forest=forest)

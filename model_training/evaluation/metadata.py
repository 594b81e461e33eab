"""The shortcut classifier: says "tumour" from where a slice lies and how much brain it shows.

It is supervised: it learns from the labels of the training patients' slices, as no other method
here may, and it never looks for a lesion. What it reaches is what a table of figures owes to how
slices were picked. It draws no map, so it is no recipe but a row in every evaluation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from agent.imaging import preprocess
from agent.imaging.preprocess import ModelInput
from model_training.collection import Subject
from model_training.evaluation.metrics import Floats, Labels
from model_training.evaluation.slice_labels import slice_labels

FILE_NAME = "metadata.npz"
ROW = "shortcut classifier (size and position)"
FEATURES = ("height", "height off the middle", "head share", "brain share", "mean brightness")
TUMOUR_HEIGHT = 0.6  # of the brain, from below: gliomas get rarer toward its base and its vertex
MIDDLE, HEAD = (FEATURES.index(name) for name in ("height off the middle", "head share"))

Table = tuple[Floats, Labels]
"""Features [slice, feature] and "a tumour is in it" [slice]."""


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """A logistic regression on `FEATURES`: each less its centre, over its scale, by its weight."""

    centres: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float


def features(prepared: ModelInput) -> Floats:
    """[source slice, feature], in the order of `FEATURES`; shares are of the frame or the crop."""
    heights = prepared.positions.astype(np.float64)
    image = prepared.slices[:, prepared.slices.shape[1] // 2]
    pixels = prepared.brain.sum(axis=(1, 2))
    total = np.where(prepared.brain, image, 0).sum(axis=(1, 2), dtype=np.float64)
    columns = (
        heights,
        np.abs(heights - TUMOUR_HEIGHT),
        prepared.head_share,
        prepared.brain.mean(axis=(1, 2)),
        total / np.maximum(pixels, 1),
    )
    return np.stack(
        [preprocess.slices_to_source(column, prepared.geometry) for column in columns], axis=1
    )


def table(subject: Subject, prepared: ModelInput, *, least_head: float) -> Table:
    """All slices of one patient with at least so much head of the frame."""
    found = features(prepared)
    shown = found[:, HEAD] > least_head
    return found[shown], slice_labels(subject)[shown]


def save(path: Path, tables: Sequence[Table]) -> None:
    """Keeps the slices of all training patients for `learn`."""
    found = [np.zeros((0, len(FEATURES))), *(rows for rows, _ in tables)]
    tumour = [np.zeros(0, dtype=np.bool_), *(labels for _, labels in tables)]
    np.savez_compressed(path, found=np.concatenate(found), tumour=np.concatenate(tumour))


def learn(path: Path) -> Shortcut | None:
    """Learns from the slices that were kept.

    None where none were kept, or where they are all alike: without a tumour, or all with one.
    """
    if not path.is_file():
        return None
    with np.load(path) as kept:
        found, tumour = kept["found"], kept["tumour"]
    return fit(found, tumour) if tumour.any() and not tumour.all() else None


def fit(found: Floats, tumour: Labels) -> Shortcut:
    """Learns from features [slice, feature] and labels [slice]; both classes must be there."""
    if tumour.all() or not tumour.any():
        raise ValueError(
            "The shortcut classifier needs slices with and without tumour among the training "
            "patients; check the masks of the first collection."
        )
    scaler = StandardScaler().fit(found)
    learnt = LogisticRegression(max_iter=2000).fit(scaler.transform(found), tumour)
    return Shortcut(
        centres=plain(scaler.mean_),
        scales=plain(scaler.scale_),
        weights=plain(learnt.coef_[0]),
        bias=float(learnt.intercept_[0]),
    )


def scores(shortcut: Shortcut, found: Floats) -> Floats:
    """Probability of a tumour in each slice."""
    standard = (found - np.array(shortcut.centres)) / np.array(shortcut.scales)
    logit = standard @ np.array(shortcut.weights) + shortcut.bias
    return np.asarray(1 / (1 + np.exp(-logit)), dtype=np.float64)


def restored(values: dict[str, Any]) -> Shortcut:
    """From what was frozen as JSON, where tuples have become lists."""
    lists = {name: tuple(row) for name, row in values.items() if name != "bias"}
    return Shortcut(**lists, bias=values["bias"])


def plain(values: Floats) -> tuple[float, ...]:
    """As numbers that JSON knows."""
    return tuple(float(value) for value in values)

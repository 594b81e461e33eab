"""The audit of an image set: what classifiers reach that only see shortcuts."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model_training.evaluation import tables
from model_training.evaluation.metrics import Labels
from model_training.image_sets import classifiers, group_figures, shortcut_features
from model_training.image_sets.classifiers import FOLDS, Kind
from model_training.image_sets.group_figures import Figures
from model_training.image_sets.image_set import ImageSet
from model_training.image_sets.shortcut_features import Shortcut

CONFOUNDED_AUROC = 0.7
COLUMNS = ("shortcut", "classifier", "accuracy", "balanced_accuracy", "auroc")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One shortcut as one classifier."""

    shortcut: Shortcut
    classifier: Kind
    figures: Figures


@dataclass(frozen=True, kw_only=True)
class Audit:
    """All shortcuts on the same images; `protocol` says how learning and testing were parted."""

    rows: tuple[Row, ...]
    images: int
    abnormal: int
    groups: int
    majority: float
    protocol: str

    @property
    def strongest(self) -> Row:
        """The row of highest AUROC."""
        return max(self.rows, key=lambda row: row.figures.auroc.value)

    @property
    def confounded(self) -> bool:
        """Whether a shortcut alone tells the classes apart."""
        return self.strongest.figures.auroc.value > CONFOUNDED_AUROC


def audit(images: ImageSet, *, done: Callable[[Shortcut], None] = lambda _: None) -> Audit:
    """Every shortcut in five folds by group; thresholds come from the training folds.

    `done` hears of each shortcut that is finished. Raises ValueError with fewer than five groups
    in a class.
    """
    rows = []
    for shortcut, features in shortcut_features.of(images).items():
        for kind in Kind:
            said = classifiers.cross_fitted(kind, features, images.abnormal, images.groups)
            figures = group_figures.measure([said], images.abnormal, images.groups)
            rows.append(Row(shortcut=shortcut, classifier=kind, figures=figures))
        done(shortcut)
    everyone = np.ones(len(images.abnormal), dtype=np.bool_)
    return summary(rows, images, everyone, f"{FOLDS} folds by group")


def audit_split(images: ImageSet, *, train: Labels, test: Labels) -> Audit:
    """Every shortcut learnt from some images and measured on others of other groups."""
    if np.intersect1d(images.groups[train], images.groups[test]).size:
        raise ValueError("Training and test images share groups; split them by group.")
    rows = []
    for shortcut, features in shortcut_features.of(images).items():
        for kind in Kind:
            learnt = classifiers.learn(
                kind, features[train], images.abnormal[train], images.groups[train]
            )
            figures = group_figures.measure(
                [learnt.predictions(features[test])], images.abnormal[test], images.groups[test]
            )
            rows.append(Row(shortcut=shortcut, classifier=kind, figures=figures))
    return summary(rows, images, test, "learnt from the training groups, measured on the others")


def summary(rows: list[Row], images: ImageSet, measured: Labels, protocol: str) -> Audit:
    """The rows with what they were measured on."""
    abnormal = images.abnormal[measured]
    return Audit(
        rows=tuple(rows),
        images=len(abnormal),
        abnormal=int(abnormal.sum()),
        groups=len(np.unique(images.groups[measured])),
        majority=group_figures.majority(abnormal),
        protocol=protocol,
    )


def sentence(found: Audit) -> str:
    """Whether the set is confounded, in words."""
    strongest = found.strongest
    reached = f"{strongest.shortcut} alone reaches AUROC {tables.text(strongest.figures.auroc)}"
    if found.confounded:
        return (
            f"This set is confounded: {reached}. A classifier may be right here without having "
            "seen a tumour; never quote its figures without this table."
        )
    return f"No shortcut parts the classes well: at most, {reached}."


def lines(found: Audit) -> list[tuple[str, ...]]:
    """The table under `COLUMNS` for people, what guessing reaches first."""
    guess = ("always the larger class", "", tables.number(found.majority), ".500", ".500")
    return [guess, *(cells(row) for row in found.rows)]


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table."""
    figures = row.figures
    intervals = (figures.accuracy, figures.balanced_accuracy, figures.auroc)
    return (row.shortcut.value, row.classifier.value, *map(tables.text, intervals))

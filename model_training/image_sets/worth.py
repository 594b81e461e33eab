"""What a GAN that learnt from normal images is worth on an image set, beside the shortcuts."""

from dataclasses import dataclass

import numpy as np

from model_training.collection import Split
from model_training.evaluation import metrics, tables
from model_training.evaluation.metrics import Floats, Labels
from model_training.image_sets import few_labels, gan_features, group_figures, image_set, shortcuts
from model_training.image_sets.few_labels import Labelled
from model_training.image_sets.gan_features import Networks, Seen
from model_training.image_sets.group_figures import Figures, Predictions
from model_training.image_sets.image_set import ImageSet
from model_training.image_sets.shortcuts import Audit

VIEWS = 4  # as it stands, mirrored, and two varied ones
COLUMNS = (
    "what decides",
    "labelled groups it learnt from",
    "accuracy",
    "accuracy, worst to best draw",
    "balanced accuracy",
    "AUROC",
)
HOW_TO_READ = """\
Brackets: 95 % interval from drawing the test groups anew, 2000 times. The thresholds of the anomaly
score and of the classifier with all labels come from the calibration groups; with few labels the
threshold is one half, and that of a shortcut comes from folds inside the training groups. Few
labels: the mean of five draws of groups. This set says little about tumours: its two classes come
from different sources. What shortcuts reach without looking for a tumour stands in the table."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; `span` where several draws were made."""

    decider: str
    labels: str
    figures: Figures
    span: str = ""


@dataclass(frozen=True, kw_only=True)
class Worth:
    """All figures, on the same test images."""

    rows: tuple[Row, ...]
    audit: Audit


def see(images: ImageSet, networks: Networks) -> Seen:
    """What the networks see of the framed images, of all splits."""
    pairs = [image_set.framed(one, image_set.head_mask(one)) for one in images.images]
    framed, heads = (np.stack(part) for part in zip(*pairs, strict=True))
    return gan_features.see(networks, framed, heads, views=VIEWS)


def measure(images: ImageSet, seen: Seen) -> Worth:
    """Anomaly score, classifiers on frozen features, and shortcuts, measured on the test split."""
    known = Labelled(
        views=seen.features,
        abnormal=images.abnormal,
        groups=images.groups,
        train=images.part(Split.TRAIN),
        calibration=images.part(Split.CALIBRATION),
        test=images.part(Split.TEST),
    )
    rows = (unsupervised(seen.scores, known), *supervised(known))
    audit = shortcuts.audit_split(images, train=known.train, test=known.test)
    return Worth(rows=rows, audit=audit)


def unsupervised(scores: Floats, known: Labelled) -> Row:
    """The anomaly score, with the threshold of best accuracy in calibration."""
    anomaly = combined(scores, known.calibration & ~known.abnormal)
    threshold = metrics.best_accuracy_threshold(
        anomaly[known.calibration], known.abnormal[known.calibration]
    )
    tested = anomaly[known.test]
    said = Predictions(scores=tested, called=tested >= threshold)
    figures = group_figures.measure([said], known.abnormal[known.test], known.groups[known.test])
    return Row(decider="anomaly score of the GAN", labels="the normal ones", figures=figures)


def combined(scores: Floats, normal: Labels) -> Floats:
    """The mean of the scores `[image, score]`, each in deviations of unseen normal images."""
    usual = scores[normal]
    return np.asarray(np.mean((scores - usual.mean(axis=0)) / usual.std(axis=0), axis=1))


def supervised(known: Labelled) -> tuple[Row, ...]:
    """Classifiers on the frozen features, from few labels to all."""
    return tuple(
        Row(
            decider="classifier on the GAN's features",
            labels=str(row.labelled_groups),
            figures=row.figures,
            span=""
            if row.draws == 1
            else f"{tables.number(row.lowest)} to {tables.number(row.highest)}",
        )
        for row in few_labels.curve(known)
    )


def report(found: Worth) -> str:
    """The table and how to read it, as Markdown."""
    audit = found.audit
    every = f"{tables.number(audit.majority)}"
    lines = [
        ("always the larger class", "", every, "", ".500", ".500"),
        *(cells(row) for row in found.rows),
        *(
            cells(
                Row(decider=f"{one.shortcut}, {one.classifier}", labels="all", figures=one.figures)
            )
            for one in audit.rows
        ),
    ]
    head = (
        f"{audit.images} test images, {audit.abnormal} of them abnormal, of {audit.groups} groups."
    )
    table = tables.table(COLUMNS, lines)
    return "\n\n".join([head, table, shortcuts.sentence(audit), HOW_TO_READ]) + "\n"


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table."""
    figures = row.figures
    accuracy, balanced, auroc = map(
        tables.text, (figures.accuracy, figures.balanced_accuracy, figures.auroc)
    )
    return (row.decider, row.labels, accuracy, row.span, balanced, auroc)

"""Slice scores by class, ROC, precision-recall and the coverage of p-values."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from model_training.evaluation import curves
from model_training.evaluation.cohorts import Line
from model_training.evaluation.curves import GRID, Band
from model_training.evaluation.examine import MODEL
from model_training.evaluation.metrics import Floats
from model_training.evaluation.plots import style
from model_training.evaluation.reliability import Coverage
from model_training.evaluation.scoresheets import Scoresheet
from model_training.evaluation.tables import number

BINS = 40


def distribution(sheet: Scoresheet, path: Path) -> None:
    """Slice scores with and without tumour, and the frozen thresholds."""
    style.prepare()
    scores = np.concatenate([one.scores for one in sheet.patients])
    labels = np.concatenate([one.labels for one in sheet.patients])
    figure, axes = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
    bins = bins_around(sheet.slice_threshold, scores)
    for chosen, name, colour, hatch in (
        (~labels, "no tumour", style.SKY, ""),
        (labels, "tumour", style.VERMILION, "///"),
    ):
        label = f"{name} ({int(chosen.sum())} slices)"
        axes.hist(
            scores[chosen],
            bins,
            color=colour,
            alpha=0.6,
            hatch=hatch,
            edgecolor="white",
            label=label,
        )
    for value, dash, label in (
        (sheet.slice_threshold, "--", "frozen threshold"),
        (sheet.slice_threshold_at_5_percent, ":", "frozen at 5 % false positives"),
    ):
        axes.axvline(value, color="black", linestyle=dash, label=label)
    if sheet.slice_threshold > 0:
        # Linear below the threshold, logarithmic above: tumours reach many times the threshold.
        axes.set_xscale("symlog", linthresh=sheet.slice_threshold, linscale=1.5)
        axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set(
        xlabel="slice score (logarithmic above the threshold)",
        ylabel="slices",
        xlim=(bins[0], bins[-1]),
    )
    axes.legend(fontsize=8)
    style.save(figure, path)


def bins_around(threshold: float, scores: Floats) -> list[float]:
    """Even bins up to the threshold, growing ones above it."""
    lowest, highest = float(scores.min()), float(scores.max()) + 1e-6
    if not 0 < threshold < highest:
        return [float(edge) for edge in np.linspace(lowest, highest, BINS)]
    below = np.linspace(min(lowest, 0.0), threshold, BINS // 2)
    return [float(edge) for edge in (*below, *np.geomspace(threshold, highest, BINS // 2)[1:])]


def roc(sheets: Mapping[str, Scoresheet], lines: Sequence[Line], path: Path) -> None:
    """ROC of every way of scoring; the model with its band."""
    figure, axes = square()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":")
    for place, line in enumerate(lines):
        label = f"{line.name} {number(line.figures['auroc'].value)}"
        draw(axes, curves.roc(sheets[line.name]), label, place, line.name == MODEL)
    axes.set(xlabel="false-positive rate of slices", ylabel="sensitivity of slices")
    axes.legend(fontsize=7, title="AUROC", title_fontsize=7, loc="lower right")
    style.save(figure, path)


def precision_recall(sheets: Mapping[str, Scoresheet], lines: Sequence[Line], path: Path) -> None:
    """Precision over recall of every way of scoring; the model with its band."""
    figure, axes = square()
    labels = np.concatenate([one.labels for one in sheets[MODEL].patients])
    axes.axhline(float(labels.mean()), color="grey", linewidth=0.8, linestyle=":")
    for place, line in enumerate(lines):
        label = f"{line.name} {number(line.figures['average_precision'].value)}"
        draw(axes, curves.precision_recall(sheets[line.name]), label, place, line.name == MODEL)
    axes.set(xlabel="recall of slices", ylabel="precision of slices", ylim=(0, 1.02))
    axes.legend(fontsize=7, title="AUPRC", title_fontsize=7, loc="lower left")
    style.save(figure, path)


def square() -> tuple[Figure, Axes]:
    """Axes for two rates."""
    style.prepare()
    return plt.subplots(figsize=(5.6, 5.6), layout="constrained")


def draw(axes: Axes, band: Band, label: str, place: int, emphasised: bool) -> None:
    """One curve; its band where it is the one to look at."""
    colour = style.CYCLE[place % len(style.CYCLE)]
    dash = "-" if emphasised else style.DASHES[place % len(style.DASHES)]
    width = 2.5 if emphasised else 1.0
    axes.plot(GRID, band.value, color=colour, linestyle=dash, linewidth=width, label=label)
    if emphasised:
        axes.fill_between(GRID, band.low, band.high, color=colour, alpha=0.2, linewidth=0)


def coverage(found: Sequence[Coverage], path: Path) -> None:
    """Observed share of small p-values over alpha, slices and studies apart: below the diagonal
    they hold."""
    style.prepare()
    studies = [one for one in found if one.values == one.subjects]
    slices = [one for one in found if one.values != one.subjects]
    figure, panels = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    for axes, part, title in ((panels[0], slices, "slices"), (panels[1], studies, "studies")):
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="as it should be")
        for place, one in enumerate(part):
            draw_coverage(axes, one, place)
        axes.set(title=title, xlabel="alpha", ylabel="share with a p-value of at most alpha")
        axes.legend(fontsize=8, loc="lower right")
    style.save(figure, path)


def draw_coverage(axes: Axes, one: Coverage, place: int) -> None:
    """One curve with its band."""
    colour = style.CYCLE[place % len(style.CYCLE)]
    observed = [value.value for value in one.observed]
    label = f"{one.name} ({one.values} of {one.subjects} subjects)"
    dash = style.DASHES[place % len(style.DASHES)]
    axes.plot(one.alphas, observed, color=colour, linestyle=dash, marker=".", label=label)
    low, high = ([getattr(value, end) for value in one.observed] for end in ("low", "high"))
    axes.fill_between(one.alphas, low, high, color=colour, alpha=0.12, linewidth=0)

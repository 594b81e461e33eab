"""FROC, and overlap by size of lesion."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from model_training.evaluation.cohorts import Line
from model_training.evaluation.examine import MODEL
from model_training.evaluation.froc import READ_AT
from model_training.evaluation.plots import style
from model_training.evaluation.tables import number


def froc(lines: Sequence[Line], path: Path) -> None:
    """Lesions found over false regions per study; the model with its band."""
    style.prepare()
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    known = [line for line in lines if line.froc is not None]
    for place, line in enumerate(known):
        draw_curve(axes, line, place)
    axes.set_xscale("log", base=2)
    axes.set_xlim(0.9 * READ_AT[0], 1.1 * READ_AT[-1])
    axes.set_xticks(READ_AT, [number(rate) for rate in READ_AT])
    axes.set(
        xlabel="false regions per study", ylabel="lesions found (a tenth marked)", ylim=(0, 1.03)
    )
    if axes.lines:
        axes.legend(fontsize=8, title="mean", title_fontsize=8, loc="lower right")
    style.save(figure, path)


def draw_curve(axes: Axes, line: Line, place: int) -> None:
    """One way of scoring; nothing of patients without a lesion."""
    if line.froc is None or np.isnan(line.froc.mean_sensitivity.value):
        return
    colour = style.CYCLE[place % len(style.CYCLE)]
    emphasised = line.name == MODEL
    axes.plot(
        line.froc.false_regions,
        [one.value for one in line.froc.sensitivity],
        color=colour,
        linestyle="-" if emphasised else style.DASHES[place % len(style.DASHES)],
        marker="o",
        markersize=4,
        linewidth=2.5 if emphasised else 1.0,
        label=f"{line.name} {number(line.froc.mean_sensitivity.value)}",
    )
    if emphasised:
        low, high = (
            [getattr(one, end) for one in line.froc.sensitivity] for end in ("low", "high")
        )
        axes.fill_between(line.froc.false_regions, low, high, color=colour, alpha=0.2, linewidth=0)


def by_size(lines: Sequence[Line], path: Path) -> None:
    """Mean overlap and share found of lesions by size, intervals as whiskers."""
    style.prepare()
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    drawn = [line for line in lines if line.sizes]
    width = 0.8 / max(len(drawn), 1)
    for axes, key, title in (
        (panels[0], "dice", "mean Dice of a lesion"),
        (panels[1], "found", "share of lesions found"),
    ):
        for place, line in enumerate(drawn):
            figures = [getattr(one, key) for one in line.sizes]
            values = np.array([one.value for one in figures])
            ends = np.array([[one.low, one.high] for one in figures])
            whiskers = np.abs(ends - values[:, None]).T
            at = np.arange(len(values)) + (place - (len(drawn) - 1) / 2) * width
            axes.bar(
                at,
                values,
                width,
                yerr=whiskers,
                color=style.CYCLE[place % len(style.CYCLE)],
                ecolor="black",
                capsize=2,
                label=line.name,
            )
        sizes = [f"{one.name}\n({one.lesions})" for one in drawn[0].sizes]
        axes.set_xticks(np.arange(len(sizes)), sizes)
        axes.set(xlabel="volume of the lesion, ml (lesions)", ylabel=title, ylim=(0, 1.03))
    # Below both: inside, it would hide bars.
    names = panels[0].get_legend_handles_labels()
    figure.legend(*names, fontsize=8, loc="outside lower center", ncols=4)
    style.save(figure, path)

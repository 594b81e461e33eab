"""FROC, and overlap by size of lesion."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from model_training.evaluate import Line
from model_training.examine import MODEL
from model_training.plots import style
from model_training.tables import number


def froc(lines: Sequence[Line], path: Path) -> None:
    """Lesions found over false regions per study; the model with its band."""
    style.prepare()
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    drawn = [line for line in lines if line.froc is not None]
    for place, line in enumerate(drawn):
        if line.froc is None:
            continue
        rates = line.froc.false_regions
        colour = style.CYCLE[place % len(style.CYCLE)]
        dash = "-" if line.name == MODEL else style.DASHES[place % len(style.DASHES)]
        axes.plot(
            rates,
            [one.value for one in line.froc.sensitivity],
            color=colour,
            linestyle=dash,
            marker="o",
            markersize=4,
            linewidth=2.5 if line.name == MODEL else 1.0,
            label=f"{line.name} {number(line.froc.mean_sensitivity.value)}",
        )
        if line.name == MODEL:
            low, high = (
                [getattr(v, end) for v in line.froc.sensitivity] for end in ("low", "high")
            )
            axes.fill_between(rates, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks(rates, [number(rate) for rate in rates])
    axes.set(
        xlabel="false regions per study", ylabel="lesions found (a tenth marked)", ylim=(0, 1.03)
    )
    axes.legend(fontsize=8, title="mean", title_fontsize=8, loc="lower right")
    style.save(figure, path)


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
    panels[1].legend(fontsize=8, loc="upper left")
    style.save(figure, path)

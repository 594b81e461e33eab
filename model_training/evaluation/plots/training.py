"""The loss curves of a training run."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from model_training.evaluation.metrics import Floats
from model_training.evaluation.plots import style

AVERAGED_STEPS = 25
NOT_LOSSES = ("step", "seconds")
# Title, columns, unit, and whether a logarithmic axis suits them (where none is below zero).
PANELS = (
    ("restoration", ("reconstruction", "dissimilarity", "matching"), "loss", True),
    ("discriminator", ("hinge",), "loss", False),
    ("generator against discriminator", ("adversarial",), "loss", False),
    ("what the discriminator says", ("real_logit", "fake_logit"), "logit", False),
)
SILENT_HINGE = 2.0  # of a discriminator that has learnt nothing


def losses(loss_file: Path, path: Path) -> None:
    """One panel a kind of loss, and one for what else the run wrote down."""
    style.prepare()
    columns = read(loss_file)
    known = {name for _, names, _, _ in PANELS for name in names} | set(NOT_LOSSES)
    rest = tuple(name for name in columns if name not in known and np.any(columns[name] != 0))
    shown = [
        (title, [name for name in names if name in columns], unit, logarithmic)
        for title, names, unit, logarithmic in (*PANELS, ("other", rest, "value", True))
        if any(name in columns for name in names)
    ]
    figure, grid = plt.subplots(
        1, len(shown), figsize=(4.2 * len(shown), 3.4), squeeze=False, layout="constrained"
    )
    for axes, (title, names, unit, logarithmic) in zip(grid[0], shown, strict=True):
        draw(axes, columns, names)
        if "hinge" in names:
            axes.axhline(SILENT_HINGE, color="grey", linestyle=":", label="nothing learnt")
        if logarithmic and min(np.nanmin(columns[name]) for name in names) >= 0:
            axes.set_yscale("log")
        axes.set(title=title, xlabel="step", ylabel=unit)
        axes.legend(fontsize=8)
    style.save(figure, path)


def read(loss_file: Path) -> dict[str, Floats]:
    """The columns of the loss table; an empty cell is not a number."""
    with loss_file.open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    return {name: np.array([float(line[name] or "nan") for line in lines]) for name in lines[0]}


def draw(axes: Axes, columns: dict[str, Floats], names: Sequence[str]) -> None:
    """Each value as a pale line, its running mean over it."""
    for number, name in enumerate(names):
        there = np.isfinite(columns[name])
        steps, values = columns["step"][there], columns[name][there]
        if not len(values):
            continue
        colour = style.CYCLE[number % len(style.CYCLE)]
        width = max(1, min(AVERAGED_STEPS, len(values) // 4))
        mean = np.convolve(values, np.ones(width) / width, mode="valid")
        axes.plot(steps, values, color=colour, alpha=0.2, linewidth=0.5)
        axes.plot(steps[(width - 1) // 2 :][: len(mean)], mean, color=colour, label=name)

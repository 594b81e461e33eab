"""The figures of a retraining: losses, scores of both models, ROC on synthetic lesions."""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from model_training.evaluation import curves
from model_training.evaluation.curves import GRID
from model_training.evaluation.plots import style, training
from model_training.evaluation.sense import AUROC
from model_training.evaluation.synthetic import Family
from model_training.evaluation.tables import number
from model_training.retraining.measuring import Measured

FOLDER = "figures"
BINS = 30
LOWEST = 0.01  # of the threshold: lower scores are drawn there
LOOKS = {
    "candidate": (style.BLUE, "-", "///"),
    "base model": (style.VERMILION, "--", ""),
}


def draw(folder: Path, losses: Path, candidate: Measured, base: Measured) -> dict[str, str]:
    """Every figure; captions by path beside the report."""
    models = {"candidate": candidate, "base model": base}
    if losses.is_file():
        training.losses(losses, folder / "losses.png")
    scores(models, folder / "scores.png")
    roc(models, folder / "roc.png")
    captions = {
        "losses.png": "Losses of the training: single steps pale, running mean strong.",
        "scores.png": "Slice scores of both models on the held-back patients, none of whom has a "
        "tumour, each over its own slice threshold: what lies right of 1 is a false alarm.",
        "roc.png": "Synthetic lesions: share of slices found over the share of the untouched "
        "slices called; bands: 95 % of draws of scans.",
    }
    return {
        f"{FOLDER}/{name}": caption
        for name, caption in captions.items()
        if (folder / name).is_file()
    }


def scores(models: dict[str, Measured], path: Path) -> None:
    """Both distributions over the same bins."""
    style.prepare()
    figure, axes = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
    shares = {
        name: np.maximum(one.slice_scores / max(one.threshold, 1e-9), LOWEST)
        for name, one in models.items()
    }
    highest = max(2.0, *(float(part.max()) for part in shares.values()))
    bins = [float(edge) for edge in np.geomspace(LOWEST, highest * 1.01, BINS)]
    for name, part in shares.items():
        colour, dash, hatch = LOOKS[name]
        above = int((part >= 1).sum())
        axes.hist(
            part,
            bins,
            histtype="stepfilled",
            facecolor=(colour, 0.25),
            edgecolor=colour,
            linestyle=dash,
            linewidth=1.5,
            hatch=hatch,
            label=f"{name}: {above} of {len(part)} slices at 1 or more",
        )
    axes.axvline(1.0, color="black", linestyle=":", label="slice threshold")
    axes.set_xscale("log")
    axes.set(xlabel=f"slice score / own threshold ({LOWEST} or less at the left)", ylabel="slices")
    axes.legend(fontsize=8)
    style.save(figure, path)


def roc(models: dict[str, Measured], path: Path) -> None:
    """One panel a family of lesions."""
    style.prepare()
    figure, panels = plt.subplots(1, len(Family), figsize=(10, 5), layout="constrained")
    for axes, family in zip(panels, Family, strict=True):
        axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":")
        for name, one in models.items():
            colour, dash, _ = LOOKS[name]
            band = curves.roc(one.sheets[family])
            label = f"{name} {number(one.figures[family][AUROC].value)}"
            axes.plot(GRID, band.value, color=colour, linestyle=dash, linewidth=2, label=label)
            axes.fill_between(GRID, band.low, band.high, color=colour, alpha=0.15, linewidth=0)
        axes.set(
            title=f"{family} synthetic lesions",
            xlabel="untouched slices called",
            ylabel="slices with a lesion found",
        )
        axes.legend(fontsize=8, title="AUROC", title_fontsize=8, loc="lower right")
    style.save(figure, path)

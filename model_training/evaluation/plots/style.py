"""One look for all figures: colours that the colour-blind can tell apart, one way to save."""

from pathlib import Path

import matplotlib as mpl
from cycler import cycler
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

DOTS_PER_INCH = 80
# Okabe and Ito (2008): told apart with any kind of colour vision.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, "#777777", BLACK)
DASHES = ("-", "--", "-.", ":")


def prepare() -> None:
    """Draws to files, without a window, in these colours."""
    mpl.use("Agg")
    mpl.rcParams["axes.prop_cycle"] = cycler(color=CYCLE)
    mpl.rcParams["axes.grid"] = True
    mpl.rcParams["grid.alpha"] = 0.25


def save(figure: Figure, path: Path) -> None:
    """Writes a figure and lets it go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS_PER_INCH, bbox_inches="tight")
    plt.close(figure)

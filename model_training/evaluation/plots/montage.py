"""Slices side by side: input, restoration, anomaly map, and what is marked.

Expert outlines are drawn only where asked: masks that may not be passed on must not be, as lines
in a picture either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from model_training.evaluation.metrics import Labels
from model_training.evaluation.plots import style

TITLES = ("input", "restoration", "anomaly map", "marked")
HEAD_SHARE = 0.15  # of the brightest voxels: darker is air, and cut away around the head
MARGIN_PIXELS = 6


@dataclass(frozen=True, kw_only=True)
class View:
    """One slice; every array is [row, column] of the source image. `top` is the map's value that
    is drawn brightest."""

    caption: str
    image: NDArray[np.float32]
    restoration: NDArray[np.float32]
    anomaly_map: NDArray[np.float32]
    marked: Labels
    expert: Labels
    top: float


def montage(groups: Sequence[Sequence[View]], path: Path, *, outlines: bool) -> None:
    """One block of four columns a group, side by side."""
    style.prepare()
    height = max(len(group) for group in groups)
    figure, grid = plt.subplots(
        height,
        4 * len(groups),
        figsize=(6.4 * len(groups), 1.75 * height),
        squeeze=False,
        layout="constrained",
    )
    for axes in grid.ravel():
        axes.set_axis_off()
    for block, group in enumerate(groups):
        for place, view in enumerate(group):
            draw(list(grid[place, 4 * block : 4 * block + 4]), view, outlines=outlines)
    for place, axes in enumerate(grid[0]):
        axes.set_title(TITLES[place % 4], fontsize=9)
    names = [(style.ORANGE, "marked")] + ([(style.SKY, "expert")] if outlines else [])
    figure.legend(
        handles=[Line2D([], [], color=colour, label=name) for colour, name in names],
        loc="outside lower right",
        ncols=2,
        fontsize=8,
    )
    style.save(figure, path)


def draw(axes: Sequence[Axes], view: View, *, outlines: bool) -> None:
    """One slice in four tiles."""
    box = around_head(view.image)
    image = view.image[box]
    top = float(np.percentile(image, 99.5))
    axes[0].imshow(image, cmap="gray", vmin=0, vmax=top)
    axes[1].imshow(view.restoration[box], cmap="gray", vmin=0, vmax=1)
    axes[2].imshow(view.anomaly_map[box], cmap="inferno", vmin=0, vmax=view.top)
    axes[3].imshow(image, cmap="gray", vmin=0, vmax=top)
    lines = [(view.marked, style.ORANGE)] + ([(view.expert, style.SKY)] if outlines else [])
    for mask, colour in lines:
        if mask[box].any():
            axes[3].contour(mask[box], [0.5], colors=colour, linewidths=1.2)
    for part in axes:
        part.set_axis_on()
        part.grid(visible=False)
        part.set_xticks([])
        part.set_yticks([])
    axes[0].set_ylabel(view.caption, fontsize=7)


def around_head(image: NDArray[np.float32]) -> tuple[slice, slice]:
    """The smallest square around what is not air, with a margin."""
    there = image > HEAD_SHARE * float(np.percentile(image, 99.5))
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    if not len(rows):
        return slice(None), slice(None)
    side = max(int(np.ptp(rows)), int(np.ptp(columns))) // 2 + MARGIN_PIXELS
    middle = (int(rows[0] + rows[-1]) // 2, int(columns[0] + columns[-1]) // 2)
    first, second = (slice(max(at - side, 0), at + side) for at in middle)
    return first, second

"""The brain inside a head, as a small network sees it: skull or none, FLAIR, T1 or T2.

The network looks at five neighbouring slices on a square around the head. It was taught by masks of
deepbet (Fisch et al. 2024) on FLAIR whose grey values were bent at random, so that it goes by shape
rather than by brightness (as SynthStrip does, Hoopes et al. 2022): `model_training/brain`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from agent.imaging import grids, morphology
from agent.imaging.grids import Square
from agent.imaging.morphology import Mask

Image = NDArray[np.float32]
BrainNet = Callable[[Image], Image]
"""`[n, CONTEXT, SIZE, SIZE]` -> probability of brain `[n, SIZE, SIZE]`."""

SIZE = 160
CONTEXT = 5
MARGIN = 1.06  # side of the square relative to the head's longer side
BRIGHT_PERCENTILE = 95.0  # of the head: becomes 1
MAX_VALUE = 1.5
THRESHOLD = 0.5
MIN_PIECE_CM2 = 1.0  # of one slice: smaller pieces are remnants


def view(voxels: Image, head: Mask, spacing_mm: tuple[float, float, float]) -> tuple[Image, Square]:
    """What the network sees of a volume whose air is 0: `[slice, SIZE, SIZE]` and its square."""
    square = grids.around(head, spacing_mm, margin=MARGIN, size=SIZE)
    bright = float(np.percentile(voxels[head], BRIGHT_PERCENTILE))
    scaled = np.clip(voxels / np.float32(max(bright, 1e-6)), 0.0, MAX_VALUE)
    return grids.sampled(scaled.astype(np.float32), square), square


def find(
    voxels: Image, head: Mask, *, spacing_mm: tuple[float, float, float], net: BrainNet
) -> Mask:
    """The brain, in one piece across slices, with the holes of each slice filled."""
    image, square = view(voxels, head, spacing_mm)
    probability = net(grids.with_context(image, CONTEXT))
    shape = (voxels.shape[1], voxels.shape[2])
    likely = np.stack([grids.enlarged(part, square, shape) for part in probability])
    brain = morphology.largest_component((likely > THRESHOLD) & head)
    return without_crumbs(morphology.filled(brain), spacing_mm)


def without_crumbs(mask: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Drops what is too small in its slice to be a section of brain."""
    least = MIN_PIECE_CM2 * 100 / (spacing_mm[1] * spacing_mm[2])
    return np.stack([morphology.without_pieces_below(part, least) for part in mask])

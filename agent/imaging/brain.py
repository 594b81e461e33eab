"""The brain inside a head, as a small network sees it: skull or none, FLAIR, T1 or T2.

The network looks at five neighbouring slices on a square around the head. It was taught by masks of
deepbet (Fisch et al. 2024) on FLAIR whose grey values were bent at random, so that it goes by shape
rather than by brightness (as SynthStrip does, Hoopes et al. 2022): `model_training/brain`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

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
WIDE_SHARE = 0.75  # of the largest section: where the network errs least
SHALLOW_PERCENT = 0.5  # of the brain there: what lies nearer to the air elsewhere may be scalp
BRIGHT = 1.3  # of the brain's median: and is, where it is so bright
SCALP_REACH_MM = 6.0  # around what is: the dimmer rest of it
SLIVER_MM = 2.0  # half the thickness of the skull that is left below it


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
    brain = without_scalp(brain, voxels, head, spacing_mm)
    return without_crumbs(morphology.filled(brain), spacing_mm)


def without_scalp(
    brain: Mask, voxels: Image, head: Mask, spacing_mm: tuple[float, float, float]
) -> Mask:
    """Drops what is bright and lies nearer to the air than brain does in the widest sections.

    Where slices cut the skull at a slant, at the vertex and low in the head, scalp looks like
    cortex to the network. Depth alone would take the topmost brain with it, brightness alone a
    tumour.
    """
    area = morphology.areas(brain)
    if head.all() or not area.any():
        return brain
    depth = morphology.depth_in_volume_mm(head, spacing_mm)
    wide = brain & (area >= WIDE_SHARE * area.max())[:, None, None]
    shallow = brain & (depth < np.percentile(depth[wide], SHALLOW_PERCENT))
    smooth = ndimage.gaussian_filter(voxels, (0, 1.0, 1.0))
    seeds = shallow & (smooth > BRIGHT * np.median(voxels[brain]))
    scalp = shallow & morphology.dilated(seeds, SCALP_REACH_MM, spacing_mm)
    rest, touched = brain & ~scalp, scalp.any(axis=(1, 2))
    rest[touched] = morphology.opened(rest[touched], SLIVER_MM, spacing_mm)
    return morphology.largest_component(rest)


def without_crumbs(mask: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Drops what is too small in its slice to be a section of brain."""
    least = MIN_PIECE_CM2 * 100 / (spacing_mm[1] * spacing_mm[2])
    return np.stack([morphology.without_pieces_below(part, least) for part in mask])

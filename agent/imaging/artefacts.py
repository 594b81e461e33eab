"""Noise inside the brain, and what shines where there should be air: ghosts and noise.

Everything lies on the working grid `[slice, row, column]`, air at 0 and brain tissue at 1.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging import head, morphology
from agent.imaging.morphology import Mask

Image = NDArray[np.float32]
Spacing = tuple[float, float, float]

INNER_MM = 4.0  # below the brain's surface: no edge of the mask may count as noise
OUTER_MM = 8.0  # off the head: blur and the scalp's own signal
LEAST_VOXELS = 500
COARSE_MM = 1.5  # pixels from here on: one pixel's structure and its noise look the same
# Blind to edges and slopes, so that what remains is noise (Immerkaer 1996).
_BLIND = np.array([[[1, -2, 1], [-2, 4, -2], [1, -2, 1]]], dtype=np.float32)
_GAIN = 6.0
_MEDIAN_OF_NORMAL = 0.6745


def noise(image: Image, brain: Mask, spacing_mm: Spacing) -> float:
    """Deviation of the noise in brain, as a share of tissue.

    Not a number for coarse pixels and without deep brain.
    """
    if max(spacing_mm[1:]) > COARSE_MM:
        return math.nan
    inside = morphology.eroded(brain, INNER_MM, spacing_mm)
    if inside.sum() < LEAST_VOXELS:
        return math.nan
    left = np.abs(ndimage.convolve(image, _BLIND))[inside]
    return float(np.median(left) / _MEDIAN_OF_NORMAL / _GAIN)


def ghosts(image: Image, spacing_mm: Spacing) -> float:
    """Deviation of what lies outside the head, as a share of tissue; not a number without air."""
    found = head.head_mask(image, spacing_mm=spacing_mm)
    outside = image[~morphology.dilated(found, OUTER_MM, spacing_mm)]
    return float(outside.std()) if outside.size >= LEAST_VOXELS else math.nan

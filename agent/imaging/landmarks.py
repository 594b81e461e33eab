"""Where a marked region lies in the brain: its mirror half, the ventricles, the brain's surface.

Everything lies on the model grid `[slice, row, column]`, where brain tissue is 0.4.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging import midplane, morphology
from agent.imaging.midplane import Image, Midplane
from agent.imaging.morphology import Mask
from agent.imaging.preprocess import TISSUE_VALUE, ModelInput

FLUID_SHARE = 0.6  # of tissue: fluid is dark on FLAIR, and averages with what surrounds it
CENTRAL_MM = 20.0  # below the brain's outline: sulci lie nearer to it
FISSURE_MM = 1.5  # opening that cuts off the fissure between the halves
LOWEST, HIGHEST = 0.3, 0.85  # relative heights between which ventricles lie
LEAST_ML = 0.3  # dark pieces below this are perivascular spaces, old infarcts or noise


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """Distances in mm of every voxel; `ventricle_mm` is None where no ventricle is seen."""

    image: Image
    brain: Mask
    midplane: Midplane
    ventricle_mm: NDArray[np.float64] | None
    surface_mm: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]


def find(prepared: ModelInput, marked: Mask) -> Landmarks:
    """The landmarks of a brain in which `marked` is anomalous: a dark cyst is no ventricle."""
    image = prepared.slices[:, prepared.slices.shape[1] // 2]
    whole = morphology.filled(prepared.brain)
    dark = ventricles(image, whole & ~marked, prepared)
    # Above the first and below the last slice lies more brain or air, nobody knows: no edge there.
    surface_mm = ndimage.distance_transform_edt(whole, sampling=prepared.spacing_mm)
    ventricle_mm = None
    if dark.any():
        ventricle_mm = ndimage.distance_transform_edt(~dark, sampling=prepared.spacing_mm)
    return Landmarks(
        image=image,
        brain=whole,
        midplane=midplane.find(image, prepared.brain, prepared.spacing_mm),
        ventricle_mm=ventricle_mm,
        surface_mm=surface_mm,
        spacing_mm=prepared.spacing_mm,
    )


def ventricles(image: Image, inside: Mask, prepared: ModelInput) -> Mask:
    """The dark fluid in the central brain, at heights where ventricles lie."""
    spacing_mm = prepared.spacing_mm
    at_height = (prepared.positions >= LOWEST) & (prepared.positions <= HIGHEST)
    whole = morphology.filled(prepared.brain & at_height[:, None, None])
    central = morphology.eroded(whole, CENTRAL_MM, spacing_mm)
    smooth = ndimage.gaussian_filter(image, (0, 0.7, 0.7))
    dark = (smooth < FLUID_SHARE * TISSUE_VALUE) & inside & central
    pieces, _ = ndimage.label(morphology.opened(dark, FISSURE_MM, spacing_mm))
    voxels = np.bincount(pieces.ravel())
    voxels[0] = 0
    return np.asarray((voxels * np.prod(spacing_mm) / 1000 >= LEAST_ML)[pieces])

"""How bright the parts of a brain are against each other: what tells one MR weighting from another.

Images here are the model's view `[slice, row, column]` of slices with a wide section of brain.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging import morphology
from agent.imaging.morphology import Mask

Image = NDArray[np.float32]
Spacing = tuple[float, float, float]

FLUID, LESION = 0.6, 1.4  # shares of the brain's median: darker is fluid, brighter a lesion
EDGE_MM = 5.0  # below the surface: partial volume with the skull
CORTEX_MM = (2.2, 6.0)  # from the nearest fluid
DEEP_MM = 9.0
CORTEX_PERCENT, DEEP_PERCENT = 60, 40
FINE_MM, COARSE_MM = 1.0, 6.0  # between the two lies the detail of gyri and sulci
LEAST_VOXELS = 200


def ribbon(image: Image, brain: Mask, spacing_mm: Spacing) -> float:
    """Tissue beside fluid over tissue far from it: cortex over white matter.

    About 1.06 on FLAIR and .86 on T1, whatever the coil's shading, as both lie everywhere. Not a
    number where there is too little of either.
    """
    relative = image / np.median(image[brain])
    inner = morphology.eroded(morphology.filled(brain), EDGE_MM, spacing_mm)
    away = fluid_mm((relative < FLUID) | ~brain, spacing_mm)
    tissue = brain & inner & (relative > FLUID) & (relative < LESION)
    cortex = relative[tissue & (away > CORTEX_MM[0]) & (away <= CORTEX_MM[1])]
    deep = relative[tissue & (away > DEEP_MM)]
    if min(cortex.size, deep.size) < LEAST_VOXELS:
        return math.nan
    # Not the medians: oedema brightens up to half of the white matter it reaches.
    return float(np.percentile(cortex, CORTEX_PERCENT) / np.percentile(deep, DEEP_PERCENT))


def fluid_mm(fluid: Mask, spacing_mm: Spacing) -> NDArray[np.float64]:
    """Distance to the nearest fluid of the same slice."""
    return np.stack(
        [ndimage.distance_transform_edt(~part, sampling=spacing_mm[1:]) for part in fluid]
    )


def detail(image: Image, brain: Mask, spacing_mm: Spacing) -> NDArray[np.float32]:
    """What gyri and sulci add to their surroundings, as shares of tissue, one value a voxel."""
    relative = image / np.median(image[brain])
    difference = within(relative, brain, FINE_MM, spacing_mm)
    difference -= within(relative, brain, COARSE_MM, spacing_mm)
    return np.asarray(difference[brain])


def within(image: Image, brain: Mask, deviation_mm: float, spacing_mm: Spacing) -> Image:
    """Gaussian mean over the brain only, inside each slice."""
    deviation = (0.0, deviation_mm / spacing_mm[1], deviation_mm / spacing_mm[2])
    weight = ndimage.gaussian_filter(brain.astype(np.float32), deviation)
    total = ndimage.gaussian_filter(np.where(brain, image, 0).astype(np.float32), deviation)
    return np.asarray(total / np.maximum(weight, 1e-3), dtype=np.float32)


def texture(details: NDArray[np.float32]) -> float:
    """How strong the detail is: little in blurred images, much in T2 and T1."""
    return float(details.std())


def lean(details: NDArray[np.float32]) -> float:
    """Whether the detail leans to dark fluid (below 0, FLAIR and T1) or to bright (above 0, T2)."""
    low, middle, high = np.percentile(details, (5, 50, 95))
    return float((high + low - 2 * middle) / max(high - low, 1e-6))

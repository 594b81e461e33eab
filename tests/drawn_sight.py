"""Sections of a drawn head with gyri and sulci, as the measures of acceptance look at them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging.traits import Sight

SPACING_MM = (5.0, 1.0, 1.0)
SIDE = 220
HALF_AXES_MM = (82.0, 66.0)  # front to back, side to side
SULCI, SULCUS_MM, SULCUS_DEPTH_MM, CORTEX_MM = 24, 1.5, 18.0, 5.0


@dataclass(frozen=True, kw_only=True)
class Weighting:
    """Brightness of cortex and fluid; white matter is 1, air 0."""

    cortex: float
    fluid: float


FLAIR = Weighting(cortex=1.1, fluid=0.3)
T1 = Weighting(cortex=0.8, fluid=0.3)
T2 = Weighting(cortex=1.2, fluid=2.2)


def draw(weighting: Weighting = FLAIR, *, slices: int = 9, noise: float = 0.01) -> Sight:
    """A head whose brain is widest in the middle slice and small at both ends."""
    shares = np.sqrt(1 - np.linspace(-0.95, 0.95, slices) ** 2) if slices > 1 else np.ones(1)
    sections = [section(weighting, float(share)) for share in shares]
    brain = np.stack([mask for _, mask in sections])
    working = np.stack([image for image, _ in sections])
    working = np.abs(working + np.random.default_rng(5).normal(0, noise, working.shape))
    return seen(working.astype(np.float32), brain)


def seen(working: NDArray[np.float32], brain: NDArray[np.bool_]) -> Sight:
    """A head as the model and its surroundings see it, both on one grid."""
    return Sight(
        image=np.where(brain, 0.4 * working, 0).astype(np.float32),
        brain=brain,
        spacing_mm=SPACING_MM,
        working=working,
        working_brain=brain,
        working_mm=SPACING_MM,
    )


def with_working(sight: Sight, working: NDArray[np.float64]) -> Sight:
    """The same brain in another image."""
    return seen(working.astype(np.float32), sight.brain)


def through(sight: Sight, axes: tuple[int, int, int]) -> Sight:
    """The same voxels read along other axes, as if pixels were as long as slices are thick."""
    return seen(
        np.ascontiguousarray(sight.working.transpose(axes)),
        np.ascontiguousarray(sight.brain.transpose(axes)),
    )


def section(weighting: Weighting, share: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """One section, `share` times as wide as the widest, and where its brain is."""
    rows, columns = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    long, wide = (half * share for half in HALF_AXES_MM)

    def inside(margin_mm: float) -> NDArray[np.bool_]:
        away = (rows / (long + margin_mm)) ** 2 + (columns / (wide + margin_mm)) ** 2
        return np.asarray(away < 1)

    brain = inside(0.0)
    angle = np.arctan2(rows, columns) * SULCI / (2 * np.pi)
    beside_mm = np.abs(angle - np.round(angle)) * 2 * np.pi / SULCI * np.hypot(rows, columns)
    depth_mm = ndimage.distance_transform_edt(brain)
    fluid = brain & (beside_mm < SULCUS_MM) & (depth_mm < SULCUS_DEPTH_MM)
    cortex = brain & (ndimage.distance_transform_edt(brain & ~fluid) < CORTEX_MM)
    image = np.where(inside(14.0), 1.5, 0.0)
    image[inside(8.0)] = 0.05
    image[brain] = 1.0
    image[cortex] = weighting.cortex
    image[fluid] = weighting.fluid
    return image, brain

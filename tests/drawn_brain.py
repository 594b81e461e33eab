"""A brain with ventricles as the model sees it, and labels on it: ellipsoids on the model grid."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.imaging.grids import Square
from agent.imaging.preprocess import Geometry, ModelInput

SPACING_MM = (5.0, 1.5, 1.5)
SHAPE = (25, 128, 128)
BRAIN_AXES_MM = (60.0, 80.0, 62.0)
TISSUE, FLUID, BRIGHT = 0.4, 0.08, 0.65

Place = tuple[float, float, float]
Mask = NDArray[np.bool_]


def places(
    shape: tuple[int, int, int] = SHAPE,
    *,
    spacing_mm: tuple[float, float, float] = SPACING_MM,
    turned_degrees: float = 0.0,
    moved_mm: float = 0.0,
) -> NDArray[np.float64]:
    """Millimetres (up, to the back, to the left) from the brain's middle, [3, *shape].

    A head that is turned and moved to the left lies obliquely on the grid.
    """
    steps = [
        (np.arange(count) - (count - 1) / 2) * step
        for count, step in zip(shape, spacing_mm, strict=True)
    ]
    up, back, left = np.meshgrid(*steps, indexing="ij")
    left = left - moved_mm
    angle = np.deg2rad(turned_degrees)
    return np.stack(
        [
            up,
            back * np.cos(angle) + left * np.sin(angle),
            left * np.cos(angle) - back * np.sin(angle),
        ]
    )


def ellipsoid(where: NDArray[np.float64], centre: Place, axes: Place) -> Mask:
    """Everything inside an ellipsoid, in mm of the brain."""
    away = [(where[i] - centre[i]) / axes[i] for i in range(3)]
    return np.asarray(sum(part**2 for part in away) <= 1.0)


def draw(where: NDArray[np.float64], bright: Sequence[Mask] = ()) -> ModelInput:
    """The brain as it lies on the grid, with ventricles, and bright where asked for."""
    brain = ellipsoid(where, (0, 0, 0), BRAIN_AXES_MM)
    image = np.where(brain, TISSUE, 0.0)
    for side in (-9.0, 9.0):
        image[ellipsoid(where, (5.0, 0.0, side), (14.0, 28.0, 6.0))] = FLUID
    for mask in bright:
        image[mask] = BRIGHT
    return prepared(image, brain)


def prepared(image: NDArray[np.float64], brain: Mask) -> ModelInput:
    """An image and its brain as model input whose source grid is the model grid."""
    count, size, _ = image.shape
    geometry = Geometry(
        source_shape=image.shape,
        axes=(0, 1, 2),
        flips=(False, False, False),
        factors=(1, 1, 1),
        square=Square(origin=(0.0, 0.0), step=(1.0, 1.0), size=size),
    )
    return ModelInput(
        slices=image.astype(np.float32)[:, None],
        positions=np.linspace(0, 1, count, dtype=np.float32),
        brain=brain,
        head_share=brain.mean(axis=(1, 2)),
        spacing_mm=SPACING_MM,
        geometry=geometry,
    )


def labels(*masks: Mask) -> NDArray[np.uint16]:
    """The label image of masks, numbered from 1."""
    image = np.zeros(masks[0].shape, dtype=np.uint16)
    for number, mask in enumerate(masks, start=1):
        image[mask] = number
    return image

"""The plane between the two halves of the brain, and mirror images across it.

Arrays are `[slice, row, column]` in canonical order: rows to the back, columns to the left.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from agent.imaging.morphology import Mask

Image = NDArray[np.float32]
Points = NDArray[np.float64]

BRIGHT_CUT = 0.55  # tissue is 0.4: what is brighter may be a lesion and must not pull the plane
SMOOTH_MM = 3.0  # gyri of the two halves never match in detail
SAMPLE = 3000  # points compared with their mirror images
REACH_MM = 50.0  # a change of slope is counted by what it moves this far from the middle
FIRST_STEP_MM = 5.0
PRECISION_MM = 0.1
MAX_TRIALS = 120
# Fractions of the plastic number (Roberts 2018): spreads points evenly between the voxels, as a
# point on a voxel needs no interpolation and would match its mirror image worse than it should.
_SPREAD = np.array([0.8191725134, 0.6710436067, 0.5497004779])


@dataclass(frozen=True, kw_only=True)
class Midplane:
    """Column = offset + row slope * row + slice slope * slice, in mm from `middle_mm`."""

    middle_mm: tuple[float, float, float]
    offset_mm: float
    row_slope: float
    slice_slope: float

    @property
    def normal(self) -> Points:
        """Unit vector (slice, row, column) from the plane to the patient's left."""
        across = np.array([-self.slice_slope, -self.row_slope, 1.0])
        return np.asarray(across / np.linalg.norm(across))

    def left_mm(self, points_mm: Points) -> NDArray[np.float64]:
        """Signed distance of points [n, 3] from the plane, positive on the patient's left."""
        normal = self.normal
        return np.asarray((points_mm - self.middle_mm) @ normal - self.offset_mm * normal[2])

    def mirrored(self, points_mm: Points) -> Points:
        """The mirror images of points [n, 3] (slice, row, column in mm)."""
        return np.asarray(points_mm - 2.0 * self.left_mm(points_mm)[:, None] * self.normal)


def find(image: Image, brain: Mask, spacing_mm: tuple[float, float, float]) -> Midplane:
    """The plane across which the normalised image matches its mirror image best.

    Without brain it is the middle of the columns.
    """
    scale = np.array(spacing_mm)
    points = sample(brain)
    if not len(points):
        middle = (np.array(image.shape) - 1) / 2 * scale
        return placed(middle, np.zeros(3))
    blur = (0.0, SMOOTH_MM / spacing_mm[1], SMOOTH_MM / spacing_mm[2])
    smooth = ndimage.gaussian_filter(np.where(brain, np.clip(image, 0, BRIGHT_CUT), 0), blur)
    values = at(smooth, points)
    points_mm = points * scale
    middle = points_mm.mean(axis=0)

    def mismatch(moves_mm: NDArray[np.float64]) -> float:
        other = placed(middle, moves_mm).mirrored(points_mm) / scale
        return float(np.abs(at(smooth, other) - values).mean())

    start = np.full((4, 3), -1.0)
    start[1:] = FIRST_STEP_MM * np.eye(3)
    options = {"initial_simplex": start, "xatol": PRECISION_MM, "fatol": 1e-5}
    best = optimize.minimize(
        mismatch, start[0], method="Nelder-Mead", options=options | {"maxfev": MAX_TRIALS}
    )
    return placed(middle, best.x)


def placed(middle_mm: Points, moves_mm: NDArray[np.float64]) -> Midplane:
    """The plane that lies `moves_mm` off the middle: sideways, and by slope at `REACH_MM`."""
    first, second, third = (float(value) for value in middle_mm)
    return Midplane(
        middle_mm=(first, second, third),
        offset_mm=float(moves_mm[0]),
        row_slope=float(moves_mm[1]) / REACH_MM,
        slice_slope=float(moves_mm[2]) / REACH_MM,
    )


def sample(brain: Mask) -> Points:
    """Up to about `SAMPLE` points [n, 3] spread over the mask, in voxels."""
    index = np.argwhere(brain)
    index = index[:: max(1, len(index) // SAMPLE)]
    return np.asarray(index + (np.arange(len(index))[:, None] * _SPREAD) % 1.0 - 0.5)


def at(values: Image, points: Points) -> NDArray[np.float64]:
    """Values at points [n, 3] in voxels, linearly; 0 outside."""
    return np.asarray(ndimage.map_coordinates(values, points.T, order=1), dtype=np.float64)

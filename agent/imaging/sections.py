"""The outline of a brain's sections: do they look axial, and where were they cut off?"""

import numpy as np
from numpy.typing import NDArray

from agent.imaging import morphology
from agent.imaging.morphology import Mask

Spacing = tuple[float, float, float]

WIDEST_SHARE = 0.85  # of the largest section: what counts for the outline
CUT_DEPTH = 0.03  # of the brain's length, inside the image's edge: where a cut still shows


def outlines(brain: Mask, spacing_mm: Spacing) -> tuple[float, float]:
    """How much of an ellipse with the same moments the widest sections lack, and how long they are
    from front to back against their width (medians).

    Axial sections are ellipses but for some thousandths, and longer than wide.
    """
    area = morphology.areas(brain)
    widest = brain[area >= WIDEST_SHARE * area.max()]
    found = np.array([outline(part, spacing_mm) for part in morphology.filled(widest)])
    ragged, aspect = np.median(found, axis=0)
    return float(ragged), float(aspect)


def outline(section: NDArray[np.bool_], spacing_mm: Spacing) -> tuple[float, float]:
    """The two of one section, by its second moments."""
    points = np.argwhere(section) * np.array(spacing_mm[1:])
    # A pixel is no point: its own extent keeps the moments of a thin section above 0.
    moments = np.cov(points.T) + np.diag(np.square(spacing_mm[1:])) / 12
    area = len(points) * spacing_mm[1] * spacing_mm[2]
    ellipse = 4 * np.pi * np.sqrt(np.linalg.det(moments))
    return float(1.0 - area / ellipse), float(np.sqrt(moments[0, 0] / moments[1, 1]))


def ends(brain: Mask) -> tuple[float, float]:
    """Share of the largest section that the brain still has on the first and on the last slice of
    the volume: what lies below or above was not imaged."""
    area = morphology.areas(brain)
    return float(area[0] / area.max()), float(area[-1] / area.max())


def beside(brain: Mask, spacing_mm: Spacing) -> float:
    """The longest stretch of brain along an edge of the image, as a share of the brain's length."""
    rows = np.flatnonzero(brain.any(axis=(0, 2))) * spacing_mm[1]
    columns = np.flatnonzero(brain.any(axis=(0, 1))) * spacing_mm[2]
    length_mm = max(float(np.ptp(rows)), float(np.ptp(columns)))
    row, column = (int(CUT_DEPTH * length_mm / step) for step in spacing_mm[1:])
    along_rows = brain[:, [row, -1 - row], :].sum(axis=2).max() * spacing_mm[2]
    along_columns = brain[:, :, [column, -1 - column]].sum(axis=1).max() * spacing_mm[1]
    return float(max(along_rows, along_columns) / max(length_mm, 1e-6))

"""What a screenshot of a viewer shows: the head, its brightest part, and a coloured overlay."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from phantom import HEAD_AXES_MM, HEAD_CENTRE_MM, LESION_CENTRE_MM

Picture = NDArray[np.int16]
Mask = NDArray[np.bool_]
Vector = NDArray[np.float64]

# Grey levels of 255. In the phantom's own window the lesion is white, the scalp 207, brain 131.
_COLOURED, _WHITE, _HEAD = 40, 235, 60


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One view `[row, column, RGB]`, with and without the overlay."""

    shown: Picture
    plain: Picture

    @property
    def overlay(self) -> Mask:
        return coloured(self.shown)

    @property
    def lesion(self) -> Mask:
        return _largest(self.plain.min(axis=2) > _WHITE)

    @property
    def head(self) -> Mask:
        grey = np.ptp(self.plain, axis=2) < _COLOURED  # a viewer frames the view in its colour
        return _largest(ndimage.binary_fill_holes(grey & (self.plain.min(axis=2) > _HEAD)))


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Where the screen's axes point in the patient (LPS)."""

    right: Sequence[float]
    down: Sequence[float]

    def lesion_mm(self) -> Vector:
        """From the middle of the phantom's head to its lesion: to the right, and down."""
        way = np.subtract(LESION_CENTRE_MM, HEAD_CENTRE_MM)
        return np.array([np.dot(self.right, way), np.dot(self.down, way)])

    def head_mm(self) -> Vector:
        """Width and height of the phantom's head in the plane through its lesion."""
        axes = np.array(HEAD_AXES_MM)
        across = np.cross(self.right, self.down)
        way = np.dot(across, np.subtract(LESION_CENTRE_MM, HEAD_CENTRE_MM))
        shrunk = np.sqrt(1 - (way / np.dot(np.abs(across), axes)) ** 2)
        return np.array(
            [2 * shrunk * np.dot(np.abs(side), axes) for side in (self.right, self.down)]
        )


def coloured(picture: Picture) -> Mask:
    """The largest coloured part; letters and lines of the viewer are smaller."""
    return _largest(np.ptp(picture, axis=2) > _COLOURED)


def agreement(one: Mask, other: Mask) -> float:
    """Common pixels as a share of those in either."""
    return float((one & other).sum() / (one | other).sum())


def place_mm(mask: Mask, seen: Seen, screen: Screen) -> Vector:
    """From the middle of the head to that of the mask, with the head as the ruler.

    Nothing is asked of the viewer, so a wrong scale or side of its own would show.
    """
    head, size = _box(seen.head)
    rows, columns = np.nonzero(mask)
    middle = np.array([columns.mean(), rows.mean()])
    return (middle - head) / size * screen.head_mm()


def brighter_than_mirrored(seen: Seen) -> float:
    """Median grey under the overlay over that at the other side of the head."""
    middle, _ = _box(seen.head)
    rows, columns = np.nonzero(seen.overlay)
    grey = seen.plain.mean(axis=2)
    across = np.rint(2 * middle[0] - columns).astype(int)
    return float(np.median(grey[rows, columns]) / np.median(grey[rows, across]))


def _largest(mask: Mask) -> Mask:
    parts, count = ndimage.label(mask, structure=np.ones((3, 3)))
    assert count, "nothing of the kind is in the picture"
    return np.asarray(parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:])))


def _box(mask: Mask) -> tuple[Vector, Vector]:
    """Middle and size of the smallest box around a mask, in pixels, x before y."""
    spans = [np.flatnonzero(mask.any(axis=axis))[[0, -1]] for axis in (0, 1)]
    return np.mean(spans, axis=1), np.ptp(spans, axis=1) + 1.0

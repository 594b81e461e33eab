"""The outline of a region in one slice, along the edges of its pixels."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

Corner = tuple[int, int]


def largest(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The closed outline of the largest part of a mask, as `(column, row)` points.

    Points are pixel corners: (0, 0) is the upper left corner of the first pixel, (columns, rows)
    the lower right corner of the last (DICOM PS3.3 C.18.6.1.2). The last point repeats the first.
    Raises ValueError for an empty mask.
    """
    loops = _loops(_edges(mask))
    if not loops:
        raise ValueError("An empty mask has no outline.")
    corners = _without_straight_points(max(loops, key=_area))
    return np.array([(column, row) for row, column in corners], dtype=np.float64)


def _edges(mask: NDArray[np.bool_]) -> dict[Corner, list[Corner]]:
    """Pixel edges between inside and outside, each directed so that the inside is on its right."""
    inside = np.pad(mask, 1)
    following: dict[Corner, list[Corner]] = defaultdict(list)
    above, below = inside[:-1, 1:-1], inside[1:, 1:-1]
    for row, column in np.argwhere(below & ~above).tolist():
        following[row, column].append((row, column + 1))
    for row, column in np.argwhere(above & ~below).tolist():
        following[row, column + 1].append((row, column))
    left, right = inside[1:-1, :-1], inside[1:-1, 1:]
    for row, column in np.argwhere(right & ~left).tolist():
        following[row + 1, column].append((row, column))
    for row, column in np.argwhere(left & ~right).tolist():
        following[row, column].append((row + 1, column))
    return following


def _loops(following: dict[Corner, list[Corner]]) -> list[list[Corner]]:
    """The closed paths along all edges; pixels that touch at a corner only stay apart."""
    loops = []
    while following:
        start = min(following)
        loop = [start, _leave(following, start, start)]
        while loop[-1] != start or len(loop) < 3:
            loop.append(_leave(following, loop[-1], loop[-2]))
        loops.append(loop)
    return loops


def _leave(following: dict[Corner, list[Corner]], here: Corner, before: Corner) -> Corner:
    """Take an edge out of the map. Where two leave a corner, turn right, around the same pixel."""
    ways = following[here]
    came = here[0] - before[0], here[1] - before[1]
    to_the_right = here[0] + came[1], here[1] - came[0]
    way = to_the_right if to_the_right in ways else ways[0]
    ways.remove(way)
    if not ways:
        del following[here]
    return way


def _area(loop: list[Corner]) -> float:
    """Signed area; holes, which run the other way round, come out negative."""
    rows, columns = np.array(loop, dtype=np.float64).T
    return float(np.sum(columns[:-1] * rows[1:] - columns[1:] * rows[:-1]) / 2.0)


def _without_straight_points(loop: list[Corner]) -> list[Corner]:
    ring = loop[:-1]
    kept = [
        here
        for before, here, after in zip(
            ring[-1:] + ring[:-1], ring, ring[1:] + ring[:1], strict=True
        )
        if (here[0] - before[0], here[1] - before[1]) != (after[0] - here[0], after[1] - here[1])
    ]
    return [*kept, kept[0]]

"""Where the edges of a picture point in the patient, as the letters of PS3.3 C.7.6.1.1.1."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LETTERS = ("L", "P", "H"), ("R", "A", "F")  # growing and falling x, y, z
_CLEARLY = 0.35  # a tilt of less than 20 degrees is not worth a second letter


@dataclass(frozen=True, kw_only=True)
class Edges:
    """Letters for the four edges of a picture, most of them one letter long."""

    left: str
    right: str
    top: str
    bottom: str


def around(along_row: NDArray[np.float64], along_column: NDArray[np.float64]) -> Edges:
    """The edges of a picture whose rows and columns run in these directions (LPS)."""
    return Edges(
        left=sides(-along_row, least=_CLEARLY)[:2],
        right=sides(along_row, least=_CLEARLY)[:2],
        top=sides(-along_column, least=_CLEARLY)[:2],
        bottom=sides(along_column, least=_CLEARLY)[:2],
    )


def sides(direction: NDArray[np.float64], *, least: float) -> str:
    """The sides of the patient that a unit vector points to by `least` or more, nearest first."""
    order = np.argsort(-np.abs(direction), kind="stable")
    return "".join(
        _LETTERS[int(direction[axis] < 0)][axis] for axis in order if abs(direction[axis]) > least
    )

"""The kinds of acquisition that every result object must fit: a series of the phantom each."""

from collections.abc import Callable

from pydicom.dataset import Dataset

import builders
from phantom import PLANES

Series = list[Dataset]


def _classic(name: str, *, slices: int = 24, size: int) -> Series:
    return builders.flair_series(slices=slices, rows=size, columns=size, plane=PLANES[name])


GEOMETRIES: dict[str, Callable[[int], Series]] = {
    "24-slice 2D axial": lambda size: _classic("axial", size=size),
    "180-slice 3D sagittal": lambda size: _classic("sagittal", slices=180, size=size),
    "oblique": lambda size: _classic("axial oblique", size=size),
    "prone": lambda size: _classic("axial, prone", size=size),
    "feet first": lambda size: _classic("axial, feet first", size=size),
    "decubitus": lambda size: _classic("axial, decubitus", size=size),
    "Enhanced MR": lambda size: [builders.enhanced_flair(slices=24, rows=size, columns=size)],
}
"""By name, the series of a square matrix of that size."""

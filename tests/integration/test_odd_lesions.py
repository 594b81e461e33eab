"""Lesions of every awkward shape and place get a Segmentation, and an outline that can be drawn."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

import stored_series
from object_checks import EVERYTHING, Built, objects
from storage.enums import Role

ROWS, COLUMNS, SLICES = 24, 32, 6
Labels = NDArray[np.uint16]


def empty() -> Labels:
    return np.zeros((SLICES, ROWS, COLUMNS), dtype=np.uint16)


def box(*slices: slice) -> Labels:
    labels = empty()
    labels[slices] = 1
    return labels


def touching(*, at_a_corner: bool) -> Labels:
    labels = box(slice(1, 4), slice(5, 10), slice(5, 10))
    below = 10 if at_a_corner else 5
    labels[1:4, below : below + 5, 10:15] = 2
    return labels


def sixty() -> Labels:
    """Blocks of 2 x 2 pixels on one slice or two."""
    labels = empty()
    places = [(row, column) for row in range(0, 24, 4) for column in range(0, 32, 3)][:60]
    for number, (row, column) in enumerate(places, start=1):
        labels[number % 5 : number % 5 + 1 + number % 2, row : row + 2, column : column + 2] = (
            number
        )
    return labels


def ring() -> Labels:
    labels = box(slice(1, 3), slice(5, 15), slice(5, 15))
    labels[:, 8:11, 8:11] = 0
    return labels


def apart() -> Labels:
    """Two parts on its largest slice, which meet at a corner, and a thread of single voxels."""
    labels = box(slice(2, 3), slice(4, 8), slice(4, 8))
    labels[2, 8:13, 8:13] = labels[1, 5, 5] = labels[3, 12, 4:20] = 1
    return labels


ALL = slice(None)
LESIONS = {
    "one slice": box(slice(2, 3), slice(6, 12), slice(7, 14)),
    "one voxel": box(slice(2, 3), slice(6, 7), slice(7, 8)),
    "one voxel in the upper left corner": box(slice(0, 1), slice(0, 1), slice(0, 1)),
    "one voxel in the lower right corner": box(slice(5, 6), slice(23, 24), slice(31, 32)),
    "upper border": box(slice(2, 4), slice(0, 3), slice(8, 14)),
    "lower border": box(slice(2, 4), slice(20, 24), slice(8, 14)),
    "left border": box(slice(2, 4), slice(8, 14), slice(0, 3)),
    "right border": box(slice(2, 4), slice(8, 14), slice(29, 32)),
    "first slice": box(slice(0, 1), slice(8, 14), slice(8, 14)),
    "last slice": box(slice(5, 6), slice(8, 14), slice(8, 14)),
    "every voxel": box(ALL, ALL, ALL),
    "one row": box(slice(2, 3), slice(5, 6), ALL),
    "one column": box(slice(2, 3), ALL, slice(5, 6)),
    "through all slices": box(ALL, slice(5, 6), slice(5, 6)),
    "two that share an edge": touching(at_a_corner=False),
    "two that share a corner": touching(at_a_corner=True),
    "sixty": sixty(),
    "hole": ring(),
    "parts": apart(),
}


def made_of(labels: Labels, folder: Path, *, enhanced: bool = False) -> tuple[Built, list[str]]:
    """The objects of a series with these lesions, and what is wrong with them."""
    series = stored_series.small(slices=SLICES, rows=ROWS, columns=COLUMNS, enhanced=enhanced)
    case = stored_series.analysed(stored_series.stored(series, folder / "source"), labels)
    made = objects(case, EVERYTHING)
    return made, stored_series.faults(made, case, folder / "made")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name == "sixty" else ()) for name in LESIONS],
)
def test_the_objects_of_any_lesion_are_valid(name: str, tmp_path: Path) -> None:
    made, faults = made_of(LESIONS[name], tmp_path)
    assert faults == []
    for points in outlines(made):
        assert points[0].tolist() == points[-1].tolist()
        assert len(np.unique(points[:-1], axis=0)) >= 3
        assert points.min() >= 0
        assert (points.max(axis=0) <= (COLUMNS, ROWS)).all()
        assert abs(enclosed(points)) >= 1
        assert (np.abs(np.diff(points, axis=0)).sum(axis=1) > 0).all()
    assert len(outlines(made)) == LESIONS[name].max()


def outlines(made: Built) -> list[NDArray[np.float64]]:
    """The polylines `(column, row)` of the report."""
    report = dict(made)[Role.REPORT]
    return [
        np.array(item.GraphicData, dtype=np.float64).reshape(-1, 2)
        for item in below(report)
        if item.get("GraphicType") == "POLYLINE"
        and item.ConceptNameCodeSequence[0].CodeMeaning == "Image Region"
    ]


def below(item: Dataset) -> Iterator[Dataset]:
    """Everything in the tree of a report."""
    for inside in item.get("ContentSequence", ()):
        yield inside
        yield from below(inside)


def enclosed(points: NDArray[np.float64]) -> float:
    x, y = points.T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2.0)

"""Slices that are missing from a series, as its own positions and numbers show it.

Only what no complete series looks like counts: a hole of whole steps in an otherwise regular stack,
or places that hold more or fewer images than nearly all others. Localisers, several echoes or
b-values and uneven distances are all complete.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from agent.dicom import file_reader
from agent.dicom.frames import Frame, frame_count
from agent.dicom.stack import SAME_PLACE_MM, tolerance_mm
from agent.errors import UnreadableInput
from storage.records import SeriesUid

MINIMUM_PLACES = 4  # of fewer nothing can be said
_REGULAR_SHARE = 0.75  # of distances, and of places, that must be alike before others are faults

_KEYWORDS = (
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "InstanceNumber",
    "NumberOfFrames",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SeriesNumber",
)


@dataclass(frozen=True, kw_only=True)
class SeriesShape:
    """What the headers of one series say; `faults` are phrases such as "2 slices are missing".

    The description may hold anything and is only to be compared, never shown.
    """

    series_uid: SeriesUid
    number: str
    description: str
    faults: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Images that lie at one place along the normal."""

    along_mm: float
    images: tuple[Frame, ...]


def survey(files: Iterable[Path]) -> tuple[SeriesShape, ...]:
    """The series of the files, in the order of their UIDs. Files that cannot be read are left out:
    the steps that need them say so."""
    by_series: dict[str, list[Dataset]] = defaultdict(list)
    for file in files:
        try:
            header = file_reader.read(file, pixels=False, only=_KEYWORDS)
        except UnreadableInput:
            continue
        by_series[Frame(header).text("SeriesInstanceUID")].append(header)
    return tuple(_shape(SeriesUid(uid), by_series[uid]) for uid in sorted(by_series) if uid)


def _shape(uid: SeriesUid, headers: Sequence[Dataset]) -> SeriesShape:
    frames = [Frame(one) for one in headers if frame_count(one) == 1]  # many frames come at once
    first = Frame(headers[0])
    return SeriesShape(
        series_uid=uid,
        number=first.text("SeriesNumber"),
        description=first.text("SeriesDescription"),
        faults=tuple(fault for places in _stacks(frames) for fault in _faults(places)),
    )


def _stacks(frames: Iterable[Frame]) -> Iterator[list[_Place]]:
    """The places of each orientation, in order along its normal."""
    by_orientation: dict[tuple[float, ...], list[tuple[float, Frame]]] = defaultdict(list)
    normals: dict[tuple[float, ...], np.ndarray] = {}
    for frame in frames:
        cosines = frame.numbers("ImageOrientationPatient", count=6)
        position = frame.numbers("ImagePositionPatient", count=3)
        if cosines is None or position is None:
            continue
        key = tuple(round(value, 2) + 0.0 for value in cosines)
        normal = normals.setdefault(key, np.cross(cosines[:3], cosines[3:]))
        by_orientation[key].append((float(normal @ position), frame))
    for members in by_orientation.values():
        yield _places(sorted(members, key=lambda one: one[0]))


def _places(members: Sequence[tuple[float, Frame]]) -> list[_Place]:
    found: list[_Place] = []
    for along, frame in members:
        if found and along - found[-1].along_mm <= SAME_PLACE_MM:
            last = found.pop()
            found.append(_Place(along_mm=last.along_mm, images=(*last.images, frame)))
        else:
            found.append(_Place(along_mm=along, images=(frame,)))
    return found


def _faults(places: Sequence[_Place]) -> Iterator[str]:
    if len(places) >= MINIMUM_PLACES:
        yield from _holes(places)
        yield from _uneven(places)


def _holes(places: Sequence[_Place]) -> Iterator[str]:
    distances = [after.along_mm - before.along_mm for before, after in pairwise(places)]
    step = float(np.median(distances))
    off = tolerance_mm(step)
    regular = sum(abs(one - step) <= off for one in distances)
    if regular < _REGULAR_SHARE * len(distances) and regular < len(distances) - 1:
        return
    for distance, (before, after) in zip(distances, pairwise(places), strict=True):
        missing = round(distance / step) - 1
        if missing >= 1 and abs(distance - (missing + 1) * step) <= (missing + 1) * off:
            slices = "1 slice is" if missing == 1 else f"{missing} slices are"
            yield f"{slices} missing between {_name(before)} and {_name(after)}"


def _uneven(places: Sequence[_Place]) -> Iterator[str]:
    sizes = Counter(len(place.images) for place in places)
    usual, often = sizes.most_common(1)[0]
    if often < _REGULAR_SHARE * len(places):
        return
    for place in places:
        count = len(place.images)
        if count != usual:
            are = "1 image lies" if count == 1 else f"{count} images lie"
            yield f"{are} at the place of {_name(place)} and {usual} at each of the others"


def _name(place: _Place) -> str:
    """By instance number, which names nobody."""
    number = place.images[0].number_of("InstanceNumber")
    return "an image without number" if number is None else f"image {number:.0f}"

"""Put the frames of a series in spatial order, or say why they are no regular stack."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.dicom.frames import Frame
from agent.errors import UnreadableInput

DIRECTION_TOLERANCE = 2e-3  # of direction cosines; some senders round them to three decimals
PIXEL_TOLERANCE_MM = 1e-3
SAME_PLACE_MM = 0.02
POSITION_TOLERANCE_MM = 0.2  # senders that round positions to 0.1 mm err by this much
RELATIVE_TOLERANCE = 0.02

# What sets images at the same place apart, and the words for it.
_REPEATS = {
    "EchoTime": "echo times",
    "TemporalPositionIdentifier": "time points",
    "InversionTime": "inversion times",
    "DiffusionBValue": "b-values",
    "ComplexImageComponent": "image components",
    "ImageType": "image types",
    "AcquisitionNumber": "acquisitions",
}

Array = NDArray[np.float64]


class BadGeometry(UnreadableInput):
    """The images of a series are no gapless stack of parallel slices."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Frames in slice order and the affine from `(slice, row, column)` to LPS mm.

    The slice index grows along the normal, the cross product of row and column direction
    (PS3.3 C.7.6.2.1.1), whatever the order of files or instance numbers.
    """

    frames: tuple[Frame, ...]
    affine: Array


def arrange(frames: Sequence[Frame]) -> Stack:
    """Order the frames along their normal and check that they form one regular stack.

    Raises BadGeometry with a sentence that names the fault and where it is.
    """
    row, column = _directions(frames)
    spacing = _pixel_spacing(frames)
    positions = np.array([_required(frame, "ImagePositionPatient", 3) for frame in frames])
    normal = np.cross(row, column)
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    ordered = [frames[index] for index in order]
    positions, along = positions[order], along[order]
    _refuse_repeats(ordered, along)
    _refuse_gaps(ordered, along)
    step = _slice_step(ordered, positions, normal)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 3] = step, positions[0]
    affine[:3, 1], affine[:3, 2] = column * spacing[0], row * spacing[1]
    return Stack(frames=tuple(ordered), affine=affine)


def _required(frame: Frame, keyword: str, count: int) -> Array:
    numbers = frame.numbers(keyword, count=count)
    if numbers is None:
        raise BadGeometry(f"{_name(frame)} has no usable {keyword}, so its place is not known.")
    return np.array(numbers)


def _directions(frames: Sequence[Frame]) -> tuple[Array, Array]:
    """The unit vectors along a row and along a column."""
    cosines = np.array([_required(frame, "ImageOrientationPatient", 6) for frame in frames])
    off = np.abs(cosines - cosines[0]).max(axis=1)
    if off.max() > DIRECTION_TOLERANCE:
        raise BadGeometry(
            "The images of the series do not lie in parallel planes: "
            f"{_name(frames[int(off.argmax())])} is oriented differently from {_name(frames[0])}."
        )
    row, column = cosines[0, :3], cosines[0, 3:]
    lengths = np.array([np.linalg.norm(row), np.linalg.norm(column)])
    if np.abs(lengths - 1).max() > 0.01 or abs(row @ column) > 0.01:
        raise BadGeometry(
            "The image orientation is damaged: row and column direction are not "
            "perpendicular vectors of length one."
        )
    return row / lengths[0], column / lengths[1]


def _pixel_spacing(frames: Sequence[Frame]) -> Array:
    """Distance between rows and between columns, in mm."""
    spacings = np.array([_required(frame, "PixelSpacing", 2) for frame in frames])
    if spacings.min() <= 0:
        raise BadGeometry("The pixel spacing is not positive.")
    if np.abs(spacings - spacings[0]).max() > PIXEL_TOLERANCE_MM:
        raise BadGeometry("The images of the series have different pixel spacings.")
    return np.asarray(spacings[0])


def _refuse_repeats(frames: Sequence[Frame], along: Array) -> None:
    same = np.flatnonzero(np.diff(along) <= SAME_PLACE_MM)
    if not same.size:
        return
    first, second = frames[same[0]], frames[same[0] + 1]
    for keyword, words in _REPEATS.items():
        values = sorted({str(frame.value(keyword)) for frame in frames})
        if str(first.value(keyword)) != str(second.value(keyword)):
            raise BadGeometry(
                f"The series holds several images at the same place, with different {words} "
                f"({_listed(values)}); one image a place is needed."
            )
    raise BadGeometry(
        f"{_name(first)} and {_name(second)} lie at the same place; one image a place is needed."
    )


def _refuse_gaps(frames: Sequence[Frame], along: Array) -> None:
    gaps = np.diff(along)
    if not gaps.size:
        return
    step = float(np.median(gaps))
    off = np.abs(gaps - step)
    if off.max() <= tolerance_mm(step):
        return
    at = int(off.argmax())
    where = f"between {_name(frames[at])} and {_name(frames[at + 1])}"
    measured = f"{gaps[at]:.1f} mm where the others are {step:.1f} mm apart"
    missing = round(gaps[at] / step) - 1
    if missing >= 1 and abs(gaps[at] - (missing + 1) * step) <= (missing + 1) * tolerance_mm(step):
        slices = "1 slice is" if missing == 1 else f"{missing} slices are"
        raise BadGeometry(f"{slices} missing {where}: {measured}.")
    raise BadGeometry(f"The slices are not evenly spaced: {measured}, {where}.")


def tolerance_mm(step_mm: float) -> float:
    """How far a slice may lie off its place; always less than half a step."""
    return max(min(POSITION_TOLERANCE_MM, 0.4 * step_mm), RELATIVE_TOLERANCE * step_mm)


def _slice_step(frames: Sequence[Frame], positions: Array, normal: Array) -> Array:
    """The vector from one slice to the next: from the first to the last, so tilt is kept."""
    count = len(frames)
    if count == 1:
        return normal * _thickness_mm(frames[0])
    step = (positions[-1] - positions[0]) / (count - 1)
    off = np.linalg.norm(positions - (positions[0] + np.outer(np.arange(count), step)), axis=1)
    # Rounding reaches every coordinate here, and the ends of the line as well.
    if off.max() > 2 * tolerance_mm(float(np.linalg.norm(step))):
        raise BadGeometry(
            f"The slices are shifted against each other: {_name(frames[int(off.argmax())])} lies "
            f"{off.max():.1f} mm off the line through the first and the last one."
        )
    return np.asarray(step)


def _thickness_mm(frame: Frame) -> float:
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        value = frame.number_of(keyword)
        if value is not None and value > 0:
            return value
    return 1.0


def _name(frame: Frame) -> str:
    if frame.number is not None:
        return f"frame {frame.number}"
    return f"image {frame.text('InstanceNumber') or '(without number)'}"


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values[:4]) + (", ..." if len(values) > 4 else "")

"""The pixels of one image or frame as grey values in the units of the source."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from agent.dicom import decoding
from agent.dicom.decoding import DecodingFailed
from agent.dicom.frames import DAMAGED, Frame, frame_count
from agent.errors import UnreadableInput

MAXIMUM_VOXELS = 1 << 28  # 1 GiB as float32; a whole-head 0.5 mm volume has a tenth of it
MAXIMUM_IMAGE_PIXELS = 1 << 24  # 4096 x 4096; an MR image has at most a sixteenth of it

_PIXEL_ELEMENTS = {"PixelData": (8, 16, 32), "FloatPixelData": (32,), "DoubleFloatPixelData": (64,)}


class UnreadablePixels(UnreadableInput):
    """The pixels of an image cannot be decoded, or are no grey values."""


def check(dataset: Dataset, count: int) -> tuple[int, int]:
    """Rows and columns of `count` images like this one, refused before anything is decoded."""
    frame = Frame(dataset)
    rows, columns = (int(frame.number_of(name) or 0) for name in ("Rows", "Columns"))
    element = next((name for name in _PIXEL_ELEMENTS if name in dataset), None)
    if rows < 1 or columns < 1 or element is None:
        raise UnreadablePixels("The object holds no pixels.")
    colour = frame.text("PhotometricInterpretation") or "colour space not stated"
    if frame.number_of("SamplesPerPixel") != 1 or not colour.startswith("MONOCHROME"):
        raise UnreadablePixels(f"The image is not a grey-scale image ({colour[:20]}).")
    if rows * columns > MAXIMUM_IMAGE_PIXELS or rows * columns * count > MAXIMUM_VOXELS:
        raise UnreadablePixels(
            f"{count} images of {rows} x {columns} pixels are more than can be read "
            f"({MAXIMUM_IMAGE_PIXELS} pixels an image, {MAXIMUM_VOXELS} in all)."
        )
    _check_length(frame, element, rows * columns)
    return rows, columns


def _check_length(frame: Frame, element: str, pixels: int) -> None:
    """Refuse bits that cannot be, and uncompressed pixels that are not all there."""
    allocated = frame.number_of("BitsAllocated")
    stored = frame.number_of("BitsStored") or allocated
    if allocated not in _PIXEL_ELEMENTS[element] or not stored or not 1 <= stored <= allocated:
        raise UnreadablePixels("The image states no depth of its pixels that can be read.")
    if _is_compressed(frame.dataset):
        return
    announced = pixels * int(allocated) // 8 * max(1, frame_count(frame.dataset))
    there = _bytes_there(frame.dataset, element)
    if there < announced:
        raise UnreadablePixels(
            f"The image is cut off: {announced} bytes of pixels are announced, {there} are there."
        )


def _is_compressed(dataset: Dataset) -> bool:
    try:
        return UID(_stated_syntax(dataset)).is_encapsulated
    except ValueError as error:
        raise UnreadablePixels(
            f"The pixels cannot be decoded from {_syntax(dataset)}, which is not known."
        ) from error


def _bytes_there(dataset: Dataset, element: str) -> int:
    try:
        return len(dataset[element].value or b"")
    except DAMAGED as error:
        raise UnreadablePixels("The pixels of the image are damaged.") from error


def read(frames: Sequence[Frame]) -> Iterator[NDArray[np.float32]]:
    """Decode each `[row, column]`, undo MONOCHROME1, apply the frame's own rescale.

    Raises UnreadablePixels with a sentence that names the transfer syntax.
    """
    rescales = [_rescale(frame) for frame in frames]
    decoded = decoding.decode(frames)
    for frame, (slope, intercept) in zip(frames, rescales, strict=True):
        try:
            stored = next(decoded).astype(np.float64)
        except DAMAGED as error:
            why = str(error) if isinstance(error, DecodingFailed) else decoding.DAMAGED_OR_NO_CODEC
            raise UnreadablePixels(
                f"The pixels cannot be decoded from {_syntax(frame.dataset)}: {why}."
            ) from error
        yield _grey(frame, stored, slope, intercept)


def _grey(
    frame: Frame, stored: NDArray[np.float64], slope: float, intercept: float
) -> NDArray[np.float32]:
    expected = (frame.number_of("Rows"), frame.number_of("Columns"))
    if stored.shape != expected:
        raise UnreadablePixels(
            f"The decoded pixels are {stored.shape} where {expected} are announced."
        )
    if frame.text("PhotometricInterpretation") == "MONOCHROME1":
        stored = _extremes_sum(frame) - stored
    grey = (stored * slope + intercept).astype(np.float32)
    if not np.isfinite(grey).all():
        raise UnreadablePixels("The image holds values that are no numbers.")
    return grey


def turning_sum(frame: Frame) -> float:
    """What a value and its opposite add up to where MONOCHROME1 is undone, after the rescale."""
    slope, intercept = _rescale(frame)
    return _extremes_sum(frame) * slope + 2.0 * intercept


def _rescale(frame: Frame) -> tuple[float, float]:
    """Slope and intercept of this frame; 1 and 0 where there are none."""
    slope = _factor(frame, "RescaleSlope", 1.0)
    if slope == 0:
        raise UnreadablePixels("The rescale slope is 0, which leaves no image.")
    return slope, _factor(frame, "RescaleIntercept", 0.0)


def _factor(frame: Frame, keyword: str, default: float) -> float:
    if frame.value(keyword) is None:
        return default
    value = frame.number_of(keyword)
    if value is None:
        raise UnreadablePixels(f"{keyword} is damaged, so the grey values are not known.")
    return value


def _extremes_sum(frame: Frame) -> float:
    """Sum of the largest and the smallest value that the stored bits can hold."""
    bits = int(frame.number_of("BitsStored") or 16)
    signed = frame.number_of("PixelRepresentation") == 1
    return -1.0 if signed else float((1 << bits) - 1)


def _syntax(dataset: Dataset) -> str:
    syntax = _stated_syntax(dataset)
    return f"{UID(syntax).name} ({syntax})" if syntax else "an unstated transfer syntax"


def _stated_syntax(dataset: Dataset) -> str:
    meta = getattr(dataset, "file_meta", None)
    return str(meta.get("TransferSyntaxUID", "")) if meta is not None else ""

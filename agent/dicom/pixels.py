"""The pixels of one image or frame as grey values in the units of the source."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from agent.dicom import decoding
from agent.dicom.frames import DAMAGED, Frame
from agent.errors import UnreadableInput

MAXIMUM_VOXELS = 1 << 28  # 1 GiB as float32; a whole-head 0.5 mm volume has a tenth of it

_PIXEL_ELEMENTS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


class UnreadablePixels(UnreadableInput):
    """The pixels of an image cannot be decoded, or are no grey values."""


def check(dataset: Dataset, count: int) -> tuple[int, int]:
    """Rows and columns of `count` images like this one, refused before anything is decoded."""
    frame = Frame(dataset)
    rows, columns = (int(frame.number_of(name) or 0) for name in ("Rows", "Columns"))
    if rows < 1 or columns < 1 or not any(name in dataset for name in _PIXEL_ELEMENTS):
        raise UnreadablePixels("The object holds no pixels.")
    colour = frame.text("PhotometricInterpretation") or "colour space not stated"
    if frame.number_of("SamplesPerPixel") != 1 or not colour.startswith("MONOCHROME"):
        raise UnreadablePixels(f"The image is not a grey-scale image ({colour}).")
    if rows * columns * count > MAXIMUM_VOXELS:
        raise UnreadablePixels(
            f"{count} images of {rows} x {columns} pixels are more than can be read "
            f"({MAXIMUM_VOXELS} voxels)."
        )
    return rows, columns


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
            raise UnreadablePixels(
                f"The pixels cannot be decoded from {_syntax(frame.dataset)}: the data are damaged "
                "or the codec is missing."
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
    meta = getattr(dataset, "file_meta", None)
    syntax = None if meta is None else meta.get("TransferSyntaxUID")
    return f"{UID(syntax).name} ({syntax})" if syntax else "an unstated transfer syntax"

"""The header values of one image or frame, read the same way from classic and enhanced MR."""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

DAMAGED: tuple[type[Exception], ...] = (
    InvalidDicomError,
    BytesLengthException,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    OSError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What pydicom and the decoders behind it raise for damaged bytes: found by damaging them."""

_VALUE_LIMIT_BYTES = 1 << 16  # with a VR (PS3.5 7.1.2) no value that we read can be longer

# Where Enhanced MR (PS3.3 C.8.13 and C.7.6.16) keeps what classic MR has at the top level.
_MACROS: dict[str, tuple[str, str]] = {
    "ImagePositionPatient": ("PlanePositionSequence", "ImagePositionPatient"),
    "ImageOrientationPatient": ("PlaneOrientationSequence", "ImageOrientationPatient"),
    "PixelSpacing": ("PixelMeasuresSequence", "PixelSpacing"),
    "SliceThickness": ("PixelMeasuresSequence", "SliceThickness"),
    "SpacingBetweenSlices": ("PixelMeasuresSequence", "SpacingBetweenSlices"),
    "RescaleSlope": ("PixelValueTransformationSequence", "RescaleSlope"),
    "RescaleIntercept": ("PixelValueTransformationSequence", "RescaleIntercept"),
    "WindowCenter": ("FrameVOILUTSequence", "WindowCenter"),
    "WindowWidth": ("FrameVOILUTSequence", "WindowWidth"),
    "VOILUTFunction": ("FrameVOILUTSequence", "VOILUTFunction"),
    "RepetitionTime": ("MRTimingAndRelatedParametersSequence", "RepetitionTime"),
    "EchoTime": ("MREchoSequence", "EffectiveEchoTime"),
    "InversionTime": ("MRModifierSequence", "InversionTimes"),
    "InversionRecovery": ("MRModifierSequence", "InversionRecovery"),
    "DiffusionBValue": ("MRDiffusionSequence", "DiffusionBValue"),
    "ImageType": ("MRImageFrameTypeSequence", "FrameType"),
    "AcquisitionContrast": ("MRImageFrameTypeSequence", "AcquisitionContrast"),
    "ComplexImageComponent": ("MRImageFrameTypeSequence", "ComplexImageComponent"),
    "StackID": ("FrameContentSequence", "StackID"),
    "TemporalPositionIdentifier": ("FrameContentSequence", "TemporalPositionIndex"),
}
# Legacy converted objects keep the classic attributes that no macro has (PS3.3 C.7.6.16.2.25).
_UNASSIGNED = (
    "UnassignedPerFrameConvertedAttributesSequence",
    "UnassignedSharedConvertedAttributesSequence",
)


@dataclass(frozen=True)
class Frame:
    """One slice image: a single-frame data set, or a frame (from 1) of a multi-frame one."""

    dataset: Dataset
    number: int | None = None

    @cached_property
    def _groups(self) -> tuple[Dataset, ...]:
        """Functional groups that hold for this frame, its own before the shared ones."""
        if self.number is None:
            return ()
        own = _item(self.dataset, "PerFrameFunctionalGroupsSequence", self.number - 1)
        shared = _item(self.dataset, "SharedFunctionalGroupsSequence")
        return tuple(groups for groups in (own, shared) if groups is not None)

    def value(self, keyword: str) -> Any:
        """The value of a classic attribute for this frame; None where absent or malformed."""
        return next(filter(_is_given, self._values(keyword)), None)

    def text(self, keyword: str) -> str:
        """A value as stripped text; empty where absent."""
        value = self.value(keyword)
        return "" if value is None else str(value).strip()

    def texts(self, keyword: str) -> tuple[str, ...]:
        """A coded, perhaps multi-valued attribute in upper case, empty values kept."""
        return tuple(str(part).strip().upper() for part in _several(self.value(keyword)))

    def numbers(self, keyword: str, *, count: int | None = None) -> tuple[float, ...] | None:
        """Finite numbers, as many as `count` where given; None where absent or malformed."""
        try:
            numbers = tuple(float(part) for part in _several(self.value(keyword)))
        except DAMAGED:
            return None
        whole = bool(numbers) and all(map(isfinite, numbers))
        return numbers if whole and count in (None, len(numbers)) else None

    def number_of(self, keyword: str) -> float | None:
        """The first number of an attribute; None where absent or malformed."""
        numbers = self.numbers(keyword)
        return numbers[0] if numbers else None

    def _values(self, keyword: str) -> Iterator[Any]:
        for groups in self._groups:
            if keyword in _MACROS:
                macro, inside = _MACROS[keyword]
                yield _value(_item(groups, macro), inside)
            for unassigned in _UNASSIGNED:
                yield _value(_item(groups, unassigned), keyword)
        yield _value(self.dataset, keyword)


def frames_of(dataset: Dataset) -> list[Frame]:
    """The frames of a data set: one without number for a classic image.

    A data set that names more frames than it describes gives only those it describes.
    """
    per_frame = _items(dataset, "PerFrameFunctionalGroupsSequence")
    if per_frame is None or len(per_frame) == 0:
        return [Frame(dataset)]
    return [Frame(dataset, number) for number in range(1, len(per_frame) + 1)]


def frame_count(dataset: Dataset) -> int:
    """The number of frames that the data set claims; 1 where it does not say."""
    claimed = Frame(dataset).number_of("NumberOfFrames")
    return 1 if claimed is None else int(claimed)


def _value(dataset: Dataset | None, keyword: str) -> Any:
    """A value that is no sequence; None also where it is longer than any honest one."""
    if dataset is None:
        return None
    try:
        element = dataset.get_item(keyword)
        if isinstance(element, RawDataElement) and _too_long(element):
            return None
        value = dataset.get(keyword)
    except DAMAGED:
        return None
    return None if isinstance(value, Sequence) else value


def _too_long(element: RawDataElement) -> bool:
    return element.value is not None and len(element.value) > _VALUE_LIMIT_BYTES


def _items(dataset: Dataset, keyword: str) -> Sequence | None:
    """The items of a sequence; None where there is none, or it is damaged."""
    try:
        items = dataset.get(keyword)
    except DAMAGED:
        return None
    return items if isinstance(items, Sequence) else None


def _item(dataset: Dataset, keyword: str, index: int = 0) -> Dataset | None:
    """One item of a sequence; None where there is no such item."""
    items = _items(dataset, keyword)
    return items[index] if items is not None and index < len(items) else None


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    many = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    return list(value) if many else [value]


def _is_given(value: Any) -> bool:
    if isinstance(value, MultiValue):  # writing its numbers out costs more than reading them
        return len(value) > 0
    return value is not None and str(value) not in ("", "[]")

"""What the headers of one series say about it, gathered once for the choice."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from pydicom.dataset import Dataset

from agent.dicom.frames import Frame, frame_count, frames_of
from agent.dicom.stack import BadGeometry, arrange
from storage.records import SeriesUid

_AFTER_CONTRAST = re.compile(
    r"\b(post|gado?|gadolinium|gd|dotarem|gadovist|contrast|ce|km|pdc|avec inj\w*|con mdc)\b"
    r"|\+ ?[ckg]\b|\+km|\bc ?\+"
)
_BEFORE_CONTRAST = re.compile(
    r"\b(pre|without|w ?o|no contrast|non contrast|nativ\w*|ohne|sans|sin|senza)\b|w/o|-c\b"
)
_NO_AGENT = frozenset({"", "NO", "NONE", "N", "NO CONTRAST", "WITHOUT"})


class Plane(StrEnum):
    """Which body plane slices lie closest to."""

    AXIAL = "axial"
    SAGITTAL = "sagittal"
    CORONAL = "coronal"


@dataclass(frozen=True, kw_only=True)
class Traits:
    """One series as its headers describe it. Times in ms; empty where nothing is stated."""

    uid: SeriesUid
    number: int
    modality: str
    sop_classes: frozenset[str]
    description: str
    image_type: frozenset[str]
    image_flavours: frozenset[str]
    body_part: str
    scanning_sequence: frozenset[str]
    echo_planar: bool
    inversion_times_ms: tuple[float, ...]
    echo_times_ms: tuple[float, ...]
    repetition_times_ms: tuple[float, ...]
    b_values: tuple[float, ...]
    instance_count: int
    image_count: int
    place_count: int
    planes: frozenset[Plane]
    coverage_mm: float
    regular: bool
    after_contrast: bool
    maker: str
    burned_in: bool  # annotations stand in the pixels

    @property
    def derived(self) -> bool:
        """Whether the pixels were computed from other images (PS3.3 C.7.6.1.1.2, value 1)."""
        return "DERIVED" in self.image_type

    @property
    def reformatted(self) -> bool:
        """Whether the slices were cut out of a volume acquired otherwise."""
        return bool(self.image_type & {"MPR", "REFORMATTED", "RESAMPLED"})

    @property
    def title(self) -> str:
        """How to name the series; its description may hold a patient's name."""
        return f"series {self.number}"


def gather(uid: SeriesUid, headers: Sequence[Dataset]) -> Traits:
    """Read the traits of one series from the headers of all its objects."""
    frames = [frame for dataset in headers for frame in frames_of(dataset)]
    first = frames[0]
    description = first.text("SeriesDescription") or first.text("ProtocolName")
    places, coverage_mm = _extent(frames)
    return Traits(
        uid=uid,
        number=int(first.number_of("SeriesNumber") or 0),
        modality=first.text("Modality").upper(),
        sop_classes=frozenset(frame.text("SOPClassUID") for frame in frames),
        description=description,
        image_type=_all_texts(frames, "ImageType"),
        image_flavours=_all_texts(frames, "AcquisitionContrast") | _flavours(frames),
        body_part=words(first.text("BodyPartExamined")).upper(),
        scanning_sequence=_all_texts(frames, "ScanningSequence")
        | _echo_kinds(first.text("EchoPulseSequence").upper()),
        echo_planar=first.text("EchoPlanarPulseSequence").upper() == "YES",
        inversion_times_ms=_positive(frames, "InversionTime"),
        echo_times_ms=_positive(frames, "EchoTime"),
        repetition_times_ms=_positive(frames, "RepetitionTime"),
        b_values=_positive(frames, "DiffusionBValue"),
        instance_count=len(headers),
        image_count=max(len(frames), sum(map(frame_count, headers))),
        place_count=places,
        planes=frozenset(plane for plane in map(plane_of, frames) if plane),
        coverage_mm=coverage_mm,
        regular=_is_regular(frames),
        after_contrast=_is_after_contrast(first, description),
        maker=first.text("Manufacturer").strip(),
        burned_in=first.text("BurnedInAnnotation").upper() == "YES",
    )


def plane_of(frame: Frame) -> Plane | None:
    """The plane whose axis is the largest component of the slice normal; None if unknown."""
    cosines = frame.numbers("ImageOrientationPatient", count=6)
    if cosines is None:
        return None
    normal = np.abs(np.cross(cosines[:3], cosines[3:]))
    if normal.max() < 0.5:  # no pair of perpendicular unit vectors
        return None
    return (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)[int(normal.argmax())]


def _extent(frames: Sequence[Frame]) -> tuple[int, float]:
    """How many different places the slices have, and the length they cover along the normal."""
    cosines = frames[0].numbers("ImageOrientationPatient", count=6)
    positions = [frame.numbers("ImagePositionPatient", count=3) for frame in frames]
    known = [position for position in positions if position is not None]
    if cosines is None or not known:
        return 0, 0.0
    along = np.sort(np.array(known) @ np.cross(cosines[:3], cosines[3:]))
    places = along[np.r_[True, np.diff(along) > 0.02]]
    if len(places) < 2:
        return 1, 0.0
    return len(places), float(places[-1] - places[0] + np.median(np.diff(places)))


def _is_regular(frames: Sequence[Frame]) -> bool:
    try:
        arrange(frames)
    except BadGeometry:
        return False
    return True


def _is_after_contrast(frame: Frame, description: str) -> bool:
    plain = words(description)
    raw = description.lower()
    if _BEFORE_CONTRAST.search(plain) or _BEFORE_CONTRAST.search(raw):
        return False
    if _AFTER_CONTRAST.search(plain) or _AFTER_CONTRAST.search(raw):
        return True
    return frame.text("ContrastBolusAgent").upper() not in _NO_AGENT


def words(text: str) -> str:
    """Lower case, with one space wherever the text has anything but letters and digits."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def _all_texts(frames: Sequence[Frame], keyword: str) -> frozenset[str]:
    return frozenset(text for frame in frames for text in frame.texts(keyword) if text)


def _flavours(frames: Sequence[Frame]) -> frozenset[str]:
    """Third values of the image type, which name the contrast in Enhanced MR."""
    return frozenset(texts[2] for frame in frames if len(texts := frame.texts("ImageType")) > 2)


def _echo_kinds(echo_pulse_sequence: str) -> frozenset[str]:
    """The Enhanced MR attribute in the terms of the classic one."""
    kinds = {"SPIN": {"SE"}, "GRADIENT": {"GR"}, "BOTH": {"SE", "GR"}}
    return frozenset(kinds.get(echo_pulse_sequence, set()))


def _positive(frames: Sequence[Frame], keyword: str) -> tuple[float, ...]:
    """The different values over all images; 0 is how some senders say that there is none."""
    values = {value for frame in frames for value in frame.numbers(keyword) or () if value > 0}
    return tuple(sorted(values))

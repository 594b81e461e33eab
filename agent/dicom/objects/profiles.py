"""What one kind of destination gets, and how it is written."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from storage.enums import Role

RESEARCH: Final = "RESEARCH"  # a word that every series description must hold
LONGEST_DESCRIPTION: Final = 64  # characters of a VR LO (PS3.5 6.2)
# Added to the base: the numbers by which archives and hanging protocols tell our series apart.
_SERIES_OFFSETS: Final = MappingProxyType(
    {
        Role.SEGMENTATION: 1,
        Role.PARAMETRIC_MAP: 2,
        Role.REPORT: 3,
        Role.HEATMAP: 4,
        Role.DERIVED_SERIES: 5,
        Role.KEY_IMAGES: 7,
        Role.REJECTION_NOTE: 8,
    }
)
_SERIES_DESCRIPTIONS: Final = MappingProxyType(
    {
        Role.SEGMENTATION: "AI anomaly SEG - RESEARCH ONLY",
        Role.PARAMETRIC_MAP: "AI anomaly map - RESEARCH ONLY",
        Role.REPORT: "AI anomaly report - RESEARCH ONLY",
        Role.HEATMAP: "AI anomaly heatmap - RESEARCH ONLY",
        Role.DERIVED_SERIES: "AI anomaly score x1000 - RESEARCH ONLY",
        Role.KEY_IMAGES: "AI anomaly key images - RESEARCH ONLY",
        Role.REJECTION_NOTE: "AI anomaly result replaced - RESEARCH ONLY",
    }
)


class ReportClass(StrEnum):
    """The SR class of the report; its content is the same in all three (PS3.3 A.35)."""

    COMPREHENSIVE_3D = "comprehensive3d"
    COMPREHENSIVE = "comprehensive"
    ENHANCED = "enhanced"


class Slices(StrEnum):
    """Which slices get a picture."""

    ALL = "all"
    LESIONS = "lesions"  # those with a lesion, and three to either side
    OFF = "off"


class MapValues(StrEnum):
    """How the values of the Parametric Map are stored."""

    FLOAT32 = "float32"
    UINT16 = "uint16"  # for systems that refuse floats; a mapping gives the real values
    OFF = "off"


class Syntax(StrEnum):
    """The transfer syntax; what cannot be compressed is Explicit VR Little Endian (PS3.5 8.2)."""

    EXPLICIT = "explicit"
    IMPLICIT = "implicit"
    RLE = "rle"
    JPEG_LS = "jpeg-ls"
    JPEG_2000 = "jpeg-2000"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What one kind of destination gets. Equal profiles share their objects.

    A report is always made: silence must never read as normal. `series_descriptions` holds those
    that differ from the usual; each must hold the word RESEARCH and at most 64 characters.
    """

    report: ReportClass = ReportClass.COMPREHENSIVE_3D
    segmentation: bool = True
    heatmap: Slices = Slices.ALL
    parametric_map: MapValues = MapValues.OFF
    key_images: bool = False
    derived_series: bool = False
    rejection_note: bool = False
    transfer_syntax: Syntax = Syntax.EXPLICIT
    series_number_base: int = 9000
    series_descriptions: tuple[tuple[Role, str], ...] = ()

    def __post_init__(self) -> None:
        for role, text in self.series_descriptions:
            if RESEARCH not in text.upper() or len(text) > LONGEST_DESCRIPTION:
                raise ValueError(
                    f"The series description of {role} must hold the word {RESEARCH} and at most "
                    f"{LONGEST_DESCRIPTION} characters."
                )

    @property
    def digest(self) -> str:
        """Tells profiles apart, and with them the objects that are built for each."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]

    def series_number(self, role: Role) -> int:
        """The number of the series that holds the objects of a role."""
        return self.series_number_base + _SERIES_OFFSETS[role]

    def series_description(self, role: Role) -> str:
        """The description of the series that holds the objects of a role."""
        return dict(self.series_descriptions).get(role, _SERIES_DESCRIPTIONS[role])


USUAL: Final = Profile()
"""Report, Segmentation and heatmap: what every archive stores and shows."""

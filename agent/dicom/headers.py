"""The few header fields we trust, checked once.

UnreadableInput
 ├── HeaderError      the data set is damaged, or a field that we need is missing or wrong
 └── HeaderMismatch   the data set is not what the C-STORE request said it is
"""

import re
from dataclasses import dataclass
from typing import Literal

from pydicom.uid import ExplicitVRBigEndian

from agent.dicom import elements, makers
from agent.errors import UnreadableInput
from storage.enums import Priority
from storage.records import SeriesUid, SopUid, StudyUid

# PS3.5 9.1 also forbids leading zeros in a component. Scanners that write them are in use and
# their images are whole, so only what could harm us is refused.
_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
_UID_LENGTH = 64
_PIXEL_DATA = 0x7FE00010
_LARGEST_PIXEL_BYTES = 0xFFFFFFFE  # no pixels can be longer where they are not compressed (7.1.1)
_FRAMES = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIZES = {  # each a number of two bytes (PS3.3 C.7.6.3)
    0x00280002: "Samples per Pixel",
    0x00280010: "Rows",
    0x00280011: "Columns",
    0x00280100: "Bits Allocated",
}
_NUMBER_OF_FRAMES = 0x00280008
_CHARACTER_SET = 0x00080005
_MAXIMUM_CHARACTER_SETS = 16  # each text is tried in each of them; three are many
_NAMES = _SIZES | {
    _CHARACTER_SET: "Specific Character Set",
    _NUMBER_OF_FRAMES: "Number of Frames",
    0x00080008: "Image Type",
    0x00080016: "SOP Class UID",
    0x00080018: "SOP Instance UID",
    0x00080060: "Modality",
    0x00080070: "Manufacturer",
    0x00081090: "Manufacturer's Model Name",
    0x0020000D: "Study Instance UID",
    0x0020000E: "Series Instance UID",
    0x00280301: "Burned In Annotation",
    0x00401003: "Requested Procedure Priority",
    _PIXEL_DATA: "Pixel Data",
}
# What a reader relies on to be a text at all. PS3.5 6.2.2: UN stands where a VR was not known.
_STRICT = {_CHARACTER_SET: (b"CS", b"UN", b"")} | dict.fromkeys(
    (0x00080016, 0x00080018, 0x0020000D, 0x0020000E), (b"UI", b"UN", b"")
)
_STAT_WORDS = frozenset({"STAT", "HIGH"})  # PS3.3 C.4.11, Requested Procedure Priority


class HeaderError(UnreadableInput):
    """The data set is damaged, or a field that we need is missing or wrong."""


class HeaderMismatch(UnreadableInput):
    """The data set is not what the C-STORE request said it is."""


@dataclass(frozen=True, kw_only=True)
class InstanceHeader:
    """Who an image is and how urgent its study is. Absent texts are empty.

    `computed`: software that is no scanner's made it from other images.
    """

    study_uid: StudyUid
    series_uid: SeriesUid
    sop_uid: SopUid
    sop_class_uid: str
    modality: str
    manufacturer: str
    model_name: str
    priority: Priority
    computed: bool


def read(encoded: bytes | memoryview, transfer_syntax_uid: str) -> InstanceHeader:
    """The header of an encoded data set, which is walked to its end but never decoded.

    Raises `HeaderError` with a sentence that says what was wrong.
    """
    fields = _fields(encoded, transfer_syntax_uid)
    values = {tag: value.decode("latin-1").strip(" \0") for tag, value in fields.items()}
    if _PIXEL_DATA not in values:  # also how a cut between two elements shows
        raise HeaderError("The image has no pixel data.")
    if values.get(_CHARACTER_SET, "").count("\\") >= _MAXIMUM_CHARACTER_SETS:
        raise HeaderError(f"The image names more than {_MAXIMUM_CHARACTER_SETS} character sets.")
    _check_pixel_size(
        [fields.get(tag, b"") for tag in _SIZES],
        values.get(_NUMBER_OF_FRAMES, ""),
        "big" if transfer_syntax_uid == ExplicitVRBigEndian else "little",
    )
    return InstanceHeader(
        study_uid=StudyUid(_uid(values, 0x0020000D)),
        series_uid=SeriesUid(_uid(values, 0x0020000E)),
        sop_uid=SopUid(_uid(values, 0x00080018)),
        sop_class_uid=_uid(values, 0x00080016),
        modality=values.get(0x00080060, ""),
        manufacturer=values.get(0x00080070, ""),
        model_name=values.get(0x00081090, ""),
        priority=_priority(values.get(0x00401003, "")),
        computed=makers.is_computed(
            image_type=values.get(0x00080008, "").split("\\")[0],
            manufacturer=values.get(0x00080070, ""),
            burned_in=values.get(0x00280301, ""),
        ),
    )


def check_request(header: InstanceHeader, *, sop_class_uid: str, sop_uid: str) -> None:
    """Raise `HeaderMismatch` unless the data set is the object that the C-STORE request named."""
    if header.sop_class_uid != sop_class_uid:
        raise HeaderMismatch(
            f"The data set is of class {header.sop_class_uid}, the request says {sop_class_uid}."
        )
    if header.sop_uid != sop_uid:
        raise HeaderMismatch("Data set and request have different SOP Instance UIDs.")


def _fields(encoded: bytes | memoryview, transfer_syntax_uid: str) -> dict[int, bytes]:
    """The wanted fields as they are encoded, by tag."""
    values: dict[int, bytes] = {}
    try:
        with elements.opened(encoded, transfer_syntax_uid) as walked:
            for tag, vr, value in walked:
                if tag not in _NAMES:
                    continue
                if tag in values:
                    raise HeaderError(f"{_NAMES[tag]} appears twice.")
                if vr not in _STRICT.get(tag, (vr,)):
                    raise HeaderError(f"{_NAMES[tag]} is encoded as something else.")
                values[tag] = value
    except elements.DamagedEncoding as error:
        raise HeaderError(str(error)) from error
    return values


def _check_pixel_size(sizes: list[bytes], frames: str, order: Literal["little", "big"]) -> None:
    """Refuse an image whose pixels are said to be larger than any can be.

    What is missing or malformed is not judged here: such an image is kept, and its analysis says
    what is wrong with it.
    """
    announced = int(frames) if _FRAMES.fullmatch(frames) else 1
    for size in sizes:
        announced *= int.from_bytes(size, order) if len(size) == 2 else 1
    if announced > 8 * _LARGEST_PIXEL_BYTES:
        raise HeaderError(
            f"The image says that its pixels take {announced // 8} bytes, more than any can have."
        )


def _uid(values: dict[int, str], tag: int) -> str:
    uid = values.get(tag, "")
    if not uid:
        raise HeaderError(f"{_NAMES[tag]} is missing.")
    if len(uid) > _UID_LENGTH or not _UID.fullmatch(uid):
        raise HeaderError(f"{_NAMES[tag]} is no valid UID.")
    return uid


def _priority(word: str) -> Priority:
    return Priority.STAT if word.upper() in _STAT_WORDS else Priority.ROUTINE

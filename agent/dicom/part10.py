"""A received data set as a file (PS3.10 section 7), and what is read back from such a file.

The data set itself is kept byte for byte as it came. In front of it stands a file header of ours,
which carries what only the network knew: transfer syntax and sender.
"""

import hashlib
import struct
from dataclasses import dataclass

from agent.dicom import elements
from agent.dicom.wire import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from agent.errors import UnreadableInput

_PREAMBLE = bytes(128) + b"DICM"  # zeroed, so that the file cannot pose as another format
_LENGTH_HEAD = struct.Struct("<HH2sHI")  # (0002,0000) File Meta Information Group Length
_TRANSFER_SYNTAX, _SOURCE_AE = 0x00020010, 0x00020016


class DamagedFile(UnreadableInput):
    """The file does not start like a file that we wrote."""


@dataclass(frozen=True, kw_only=True)
class ReceivedFile:
    """A file of ours taken apart. `encoded` is the data set as it was received."""

    transfer_syntax_uid: str
    source_ae: str
    encoded: memoryview


def content_sha256(encoded: bytes | memoryview, transfer_syntax_uid: str) -> str:
    """Names the content of an image, whoever sent it."""
    digest = hashlib.sha256(transfer_syntax_uid.encode("ascii"))
    digest.update(encoded)
    return digest.hexdigest()


def file_header(
    *, sop_class_uid: str, sop_uid: str, transfer_syntax_uid: str, source_ae: str
) -> bytes:
    """Preamble, prefix and file meta information."""
    meta = b"".join(
        [
            struct.pack("<HH2sHI", 2, 0x0001, b"OB", 0, 2) + b"\x00\x01",
            _text(0x0002, b"UI", sop_class_uid),
            _text(0x0003, b"UI", sop_uid),
            _text(0x0010, b"UI", transfer_syntax_uid),
            _text(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
            _text(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
            _text(0x0016, b"AE", source_ae),
        ]
    )
    return _PREAMBLE + _LENGTH_HEAD.pack(2, 0, b"UL", 4, len(meta)) + meta


def parse(content: bytes) -> ReceivedFile:
    """Take a file that we wrote apart; `DamagedFile` says what is wrong with another one."""
    start = len(_PREAMBLE) + _LENGTH_HEAD.size
    if len(content) < start or not content.startswith(_PREAMBLE):
        raise DamagedFile("The file has no DICOM file header of ours.")
    meta_bytes = _LENGTH_HEAD.unpack_from(content, len(_PREAMBLE))[-1]
    view = memoryview(content)
    try:
        walked = elements.walk(view[start : start + meta_bytes], implicit=False, little_endian=True)
        meta = {one.tag: one.value.decode("ascii", "replace").strip(" \0") for one in walked}
    except elements.DamagedEncoding as error:
        raise DamagedFile(f"The file header is damaged. {error}") from error
    if not meta.get(_TRANSFER_SYNTAX):
        raise DamagedFile("The file header names no transfer syntax.")
    return ReceivedFile(
        transfer_syntax_uid=meta[_TRANSFER_SYNTAX],
        source_ae=meta.get(_SOURCE_AE, ""),
        encoded=view[start + meta_bytes :],
    )


def _text(element: int, vr: bytes, text: str) -> bytes:
    """One short element of group 0002; UIDs are padded with a null, texts with a space."""
    value = text.encode("ascii", "replace")
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value

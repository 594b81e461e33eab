"""The few bytes of the upper layer that are looked at before pynetdicom sees them (PS3.8 9.3)."""

import struct
from enum import IntEnum
from typing import NamedTuple

HEADER_BYTES = 6  # type, reserved, four bytes of length
COMMAND, LAST = 1, 2  # bits of the message control header (PS3.8 E.2)
_FRAGMENT_HEADER_BYTES = 6  # four bytes of length, presentation context, message control header
MAXIMUM_REQUEST_BYTES = 256 * 1024  # 128 presentation contexts of 30 syntaxes each are 130 KiB


class PduType(IntEnum):
    """PS3.8 9.3.1."""

    ASSOCIATE_RQ = 0x01
    ASSOCIATE_AC = 0x02
    ASSOCIATE_RJ = 0x03
    P_DATA = 0x04
    RELEASE_RQ = 0x05
    RELEASE_RP = 0x06
    ABORT = 0x07


class AbortReason(IntEnum):
    """Why the service provider aborts (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNEXPECTED_PDU = 2
    INVALID_PDU_PARAMETER = 6


class Fragment(NamedTuple):
    """A presentation data value: a piece of a command set or of a data set (PS3.8 9.3.5.1)."""

    context_id: int
    control: int  # the message control header
    content: memoryview

    @property
    def is_command(self) -> bool:
        """Whether it belongs to the command set."""
        return bool(self.control & COMMAND)

    @property
    def is_last(self) -> bool:
        """Whether the command set or the data set ends with it."""
        return bool(self.control & LAST)


def rejection(result: int, source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return bytes([PduType.ASSOCIATE_RJ, 0, 0, 0, 0, 4, 0, result, source, reason])


def command(context_id: int, content: bytes, maximum_bytes: int) -> bytes:
    """P-DATA-TF PDUs with a command set, none longer than the peer takes; 0: of any length.

    PS3.8 9.3.5 and annex E: a PDU for each fragment, with its length, context and control header.
    """
    room = max(maximum_bytes - _FRAGMENT_HEADER_BYTES, 1) if maximum_bytes else len(content)
    made = []
    for start in range(0, len(content), room):
        part = content[start : start + room]
        control = COMMAND | (LAST if start + room >= len(content) else 0)
        length = len(part) + 2
        made.append(
            struct.pack(">BBIIBB", PduType.P_DATA, 0, length + 4, length, context_id, control)
        )
        made.append(part)
    return b"".join(made)


def missing_bytes(request: bytes | bytearray) -> int:
    """How many bytes an association request still lacks, as far as it shows; 0 where it is whole.

    Raises `ValueError` with the reason as soon as it can't become one.
    """
    if request[:1] not in (b"", b"\x01"):
        raise ValueError(f"It sent {_guess(bytes(request[:4]))} instead of an association request.")
    if len(request) < HEADER_BYTES:
        return HEADER_BYTES - len(request)
    length = int.from_bytes(request[2:HEADER_BYTES], "big")
    if length > MAXIMUM_REQUEST_BYTES:
        raise ValueError(f"Its association request would have {length} bytes.")
    return HEADER_BYTES + length - len(request)


def _guess(beginning: bytes) -> str:
    """What speaks there, in our own words: nothing of a stranger's bytes goes into the log."""
    if beginning.startswith(b"\x16\x03"):
        return "TLS"
    if beginning.startswith(b"SSH-"):
        return "SSH"
    if beginning[:3] in (b"GET", b"POS", b"HEA", b"OPT", b"PUT", b"CON", b"PRI"):
        return "HTTP"
    return "something"


class Fault(Exception):
    """What a peer did wrong, as a sentence for the log, and the reason that it is told."""

    def __init__(
        self, sentence: str, reason: AbortReason = AbortReason.INVALID_PDU_PARAMETER
    ) -> None:
        super().__init__(sentence)
        self.reason = reason

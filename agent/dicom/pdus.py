"""The few bytes of the upper layer that are looked at before pynetdicom sees them (PS3.8 9.3)."""

from enum import IntEnum

HEADER_BYTES = 6  # type, reserved, four bytes of length
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


def rejection(result: int, source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return bytes([PduType.ASSOCIATE_RJ, 0, 0, 0, 0, 4, 0, result, source, reason])


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

"""Walk the encoded elements of a data set (PS3.5 section 7) without decoding their values.

A walk to the end is what shows that a data set arrived whole: a length that reaches beyond the
last byte, or a sequence that is never closed, means that something is missing.
"""

import struct
import zlib
from collections.abc import Iterator

from agent.errors import UnreadableInput

INFLATED_LIMIT_BYTES = 1 << 30  # a few deflated kilobytes may claim to hold terabytes
_VALUE_LIMIT_BYTES = 1024  # no header field that we read is longer; pixels are not copied
_HEAD_BYTES = 8  # tag and length; explicit VRs with a long length have 12
_UNDEFINED = 0xFFFFFFFF
_ITEM_GROUP = 0xFFFE
_DELIMITERS = (0xFFFEE00D, 0xFFFEE0DD)  # end of an item, end of a sequence
_SHORT_VRS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)  # VRs with a length of two bytes (PS3.5 table 7.1-2)
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())


class DamagedEncoding(UnreadableInput):
    """The bytes are no whole data set in the encoding they should have."""


def inflated(encoded: bytes | memoryview) -> bytes:
    """The data set of a deflated transfer syntax (PS3.5 A.5), in Explicit VR Little Endian."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = stream.decompress(encoded, INFLATED_LIMIT_BYTES)
    except zlib.error as error:
        raise DamagedEncoding(f"The deflated data set cannot be inflated: {error}.") from error
    if not stream.eof:
        raise DamagedEncoding("The deflated data set is cut off, or too large to be inflated.")
    return content


def walk(
    encoded: bytes | memoryview, *, implicit: bool, little_endian: bool
) -> Iterator[tuple[int, bytes]]:
    """Tag and value of each element of the outermost level; empty values for undefined lengths.

    Values are cut to what a header field may hold. Raises `DamagedEncoding` as soon as the bytes
    make no sense, at the latest at their end.
    """
    content = memoryview(encoded)
    order = "<" if little_endian else ">"
    levels = [implicit]  # whether VRs are implicit, for each sequence or item that is still open
    position = 0
    while position < len(content) and not _rest_is_padding(content[position:]):
        tag, vr, length, position = _head(content, position, levels[-1], order)
        if tag in _DELIMITERS:
            levels.pop()
            if not levels:
                raise DamagedEncoding("A sequence is closed that was never opened.")
        elif length == _UNDEFINED:
            if len(levels) == 1:
                yield tag, b""
            # PS3.5 6.2.2 note 2: what stands in a UN sequence is Implicit VR.
            levels.append(levels[-1] or vr == b"UN")
        elif position + length > len(content):
            missing = position + length - len(content)
            raise DamagedEncoding(f"The data set is cut off: {missing} bytes are missing.")
        else:
            if len(levels) == 1:
                yield tag, bytes(content[position : position + min(length, _VALUE_LIMIT_BYTES)])
            position += length
    if len(levels) > 1:
        raise DamagedEncoding("The data set is cut off inside a sequence.")


def _rest_is_padding(rest: memoryview) -> bool:
    """Whether the data set is over: some writers pad it with a few zeros."""
    if len(rest) >= _HEAD_BYTES:
        return False
    if any(rest):
        raise DamagedEncoding("The data set ends inside the head of an element.")
    return True


def _head(
    content: memoryview, position: int, implicit: bool, order: str
) -> tuple[int, bytes, int, int]:
    """Tag, VR (empty when implicit), length, and where the value starts."""
    group, element = struct.unpack_from(f"{order}HH", content, position)
    tag = group << 16 | element
    if implicit or group == _ITEM_GROUP:
        return tag, b"", struct.unpack_from(f"{order}I", content, position + 4)[0], position + 8
    vr = bytes(content[position + 4 : position + 6])
    if vr in _SHORT_VRS:
        return tag, vr, struct.unpack_from(f"{order}H", content, position + 6)[0], position + 8
    if vr not in _LONG_VRS:
        raise DamagedEncoding(f"Element ({group:04X},{element:04X}) has no value representation.")
    if position + 12 > len(content):
        raise DamagedEncoding("The data set ends inside the head of an element.")
    return tag, vr, struct.unpack_from(f"{order}I", content, position + 8)[0], position + 12

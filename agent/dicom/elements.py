"""Walk the encoded elements of a data set (PS3.5 section 7) without decoding their values.

A walk to the end is what shows that a data set arrived whole: a length that reaches beyond the
last byte, or a sequence that is never closed, means that something is missing.
"""

import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from agent.errors import UnreadableInput

INFLATED_LIMIT_BYTES = 1 << 28  # 256 MiB, half of the largest volume that is read; see `inflated`
MAXIMUM_DEPTH = 32  # sequences in sequences; those of scanners stay under ten
MAXIMUM_ELEMENTS = 1_000_000  # of all levels; Enhanced MR has some hundred a frame
_VALUE_LIMIT_BYTES = 1024  # no header field that we read is longer; pixels are not copied
_HEAD_BYTES = 8  # tag and length; explicit VRs with a long length have 12
_UNDEFINED = 0xFFFFFFFF
_ITEM_GROUP = 0xFFFE
_ITEM = 0xFFFEE000
_DELIMITERS = (0xFFFEE00D, 0xFFFEE0DD)  # end of an item, end of a sequence
_PIXEL_DATA = 0x7FE00010
_SHORT_VRS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)  # VRs with a length of two bytes (PS3.5 table 7.1-2)
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_FRAGMENT_VRS = frozenset((b"OB", b"OW"))  # of undefined length: what follows is no data set
_SEQUENCE_VRS = frozenset((b"SQ", b"UN", b""))  # the last one: not known in Implicit VR

_inflating = threading.Lock()  # however many senders there are, one bomb is inflated at a time


class DamagedEncoding(UnreadableInput):
    """The bytes are no whole data set in the encoding they should have."""


class TooComplex(DamagedEncoding):
    """The data set is nested more deeply, or is larger, than any real one."""


class Field(NamedTuple):
    """One element. `vr` is empty in Implicit VR."""

    tag: int
    vr: bytes
    value: bytes


class _Level(NamedTuple):
    """How to read what stands in a sequence or item."""

    implicit: bool  # whether its elements have no VR
    fragments: bool = False  # whether it is encapsulated pixel data, which has no elements

    def within(self, tag: int, vr: bytes) -> "_Level":
        """How to read what stands in a sequence or item of this one."""
        fragments = self.fragments or vr in _FRAGMENT_VRS or tag == _PIXEL_DATA
        # PS3.5 6.2.2 note 2: what stands in a UN sequence is Implicit VR.
        return _Level(self.implicit or vr == b"UN", fragments)


@contextmanager
def inflated(encoded: bytes | memoryview) -> Iterator[bytes]:
    """The data set of a deflated transfer syntax (PS3.5 A.5), in Explicit VR Little Endian.

    Deflated zeros grow a thousandfold, so the size is bounded, and others wait until the block is
    left. Raises `DamagedEncoding`.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    with _inflating:
        try:
            content = stream.decompress(encoded, INFLATED_LIMIT_BYTES)
        except zlib.error as error:
            raise DamagedEncoding(f"The deflated data set cannot be inflated: {error}.") from error
        if len(content) >= INFLATED_LIMIT_BYTES:
            raise TooComplex("The deflated data set is too large to be inflated.")
        if not stream.eof:
            raise DamagedEncoding("The deflated data set is cut off.")
        yield content


@contextmanager
def opened(encoded: bytes | memoryview, transfer_syntax_uid: str) -> Iterator[Iterator[Field]]:
    """Inside the block, the `walk` over a data set in any transfer syntax."""
    implicit = transfer_syntax_uid == ImplicitVRLittleEndian
    little_endian = transfer_syntax_uid != ExplicitVRBigEndian
    if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        with inflated(encoded) as content:
            yield walk(content, implicit=False, little_endian=True)
    else:
        yield walk(encoded, implicit=implicit, little_endian=little_endian)


def walk(encoded: bytes | memoryview, *, implicit: bool, little_endian: bool) -> Iterator[Field]:
    """Each element of the outermost level; empty values for undefined lengths.

    Values are cut to what a header field may hold. Raises `DamagedEncoding` as soon as the bytes
    make no sense, at the latest at their end, and `TooComplex` as soon as a limit is passed.
    """
    content = memoryview(encoded)
    order = "<" if little_endian else ">"
    levels = [_Level(implicit=implicit)]  # one for each sequence or item that is still open
    position = count = 0
    while position < len(content) and not _rest_is_padding(content[position:]):
        tag, vr, length, position = _head(content, position, levels[-1].implicit, order)
        count = _counted(count)
        if tag in _DELIMITERS:
            levels.pop()
            if not levels:
                raise DamagedEncoding("A sequence is closed that was never opened.")
        elif length == _UNDEFINED:
            if len(levels) == 1:
                yield Field(tag, vr, b"")
            levels.append(levels[-1].within(tag, vr))
            _check_depth(len(levels))
        elif position + length > len(content):
            missing = position + length - len(content)
            raise DamagedEncoding(f"The data set is cut off: {missing} bytes are missing.")
        else:
            value = content[position : position + length]
            if len(levels) == 1:
                yield Field(tag, vr, bytes(value[:_VALUE_LIMIT_BYTES]))
            if not levels[-1].fragments and _may_nest(tag, vr, value, order):
                inside = levels[-1].within(tag, vr)
                count = _survey(value, inside, order, count=count, depth=len(levels))
            position += length
    if len(levels) > 1:
        raise DamagedEncoding("The data set is cut off inside a sequence.")


def _counted(count: int) -> int:
    if count >= MAXIMUM_ELEMENTS:
        raise TooComplex(f"The data set has more than {MAXIMUM_ELEMENTS} elements.")
    return count + 1


def _check_depth(levels: int) -> None:
    """Each sequence opens two levels, its own and that of an item."""
    if levels > 2 * MAXIMUM_DEPTH + 1:
        raise TooComplex(f"Its sequences are nested more than {MAXIMUM_DEPTH} deep.")


def _may_nest(tag: int, vr: bytes, value: memoryview, order: str) -> bool:
    """Whether a value of known length holds items; the VR tells, or a look at it."""
    if tag == _ITEM:
        return True
    if vr not in _SEQUENCE_VRS or len(value) < _HEAD_BYTES:
        return False
    return struct.unpack_from(f"{order}HH", value) == (_ITEM >> 16, _ITEM & 0xFFFF)


def _survey(content: memoryview, level: _Level, order: str, *, count: int, depth: int) -> int:
    """Count the elements in a value of known length; only the limits are reasons to refuse it.

    Where its end is known, a reader can pass over it, so bytes that make no sense end the survey
    and are no reason: some scanners write private values that only look like a sequence.
    """
    levels, ends = [level], [len(content)]
    position = 0
    while position + _HEAD_BYTES <= len(content):
        while len(levels) > 1 and position >= ends[-1]:
            del levels[-1], ends[-1]
        try:
            tag, vr, length, position = _head(content, position, levels[-1].implicit, order)
        except DamagedEncoding:
            return count
        count = _counted(count)
        if tag in _DELIMITERS:
            if len(levels) > 1:
                del levels[-1], ends[-1]
            continue
        end = ends[-1] if length == _UNDEFINED else min(ends[-1], position + length)
        value = content[position:end]
        nests = not levels[-1].fragments and _may_nest(tag, vr, value, order)
        if length == _UNDEFINED or nests:
            levels.append(levels[-1].within(tag, vr))
            ends.append(end)
            _check_depth(depth + len(levels))
        else:
            position += length
    return count


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

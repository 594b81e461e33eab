"""What damage and malice can make of encoded data sets. Everything follows from a seed.

A data set is a list of elements of its outermost level, so that most changes leave it in a shape
which the front door takes: what is kept is what the worker has to survive.
"""

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydicom import uid

from encoded_images import Encoded

DEEPEST = 3000
_LONG_VRS = tuple(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_VRS = (*_LONG_VRS, *b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US XX".split())
_TEXTS = (
    b"", b" ", b"1e400", b"nan", b"-inf", b"9" * 16, b"9" * 5000, b"1\\" * 300, b"\\" * 65000,
    b"1e308\\1e308", b"-1", b"0", b"\xff" * 8, b"\x00" * 8, b"../../etc/passwd", b"1." * 32 + b"1",
    b"ISO 2022 IR 87\\ISO 2022 IR 149\\GB18030", b"\\".join([b"ISO 2022 IR 58"] * 4000),
    b"\x1b$B" * 2000, b"A^B=C^D=E^F=G" * 50, b"2147483648", b"99999999999999999999", b"1.5.2",
    b"19990230", b"\r\n\t\x7f", b"%s%n{0}", b"DERIVED\\PRIMARY\\MOSAIC",
)  # fmt: skip
_NUMBERS = (0, 1, 2, 7, 12, 64, 255, 4095, 4096, 16384, 32767, 32768, 65535)
_LENGTHS = (
    0,
    1,
    2,
    3,
    8,
    255,
    65534,
    65535,
    1 << 24,
    (1 << 31) - 1,
    1 << 31,
    0xFFFFFFFE,
    0xFFFFFFFF,
)
_WORTHWHILE = (
    0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00200032, 0x00200037,
    0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011, 0x00280030, 0x00280100, 0x00280101,
    0x00280102, 0x00280103, 0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x52009229, 0x52009230,
)  # fmt: skip


@dataclass(kw_only=True)
class Element:
    """One element of the outermost level."""

    tag: int
    vr: bytes
    length: int
    value: bytes

    def encoded(self, source: Encoded) -> bytes:
        head = struct.pack(f"{source.order}HH", self.tag >> 16, self.tag & 0xFFFF)
        if source.implicit:
            return head + struct.pack(f"{source.order}I", self.length) + self.value
        if self.vr in _LONG_VRS:
            return head + self.vr + struct.pack(f"{source.order}HI", 0, self.length) + self.value
        short = struct.pack(f"{source.order}H", self.length & 0xFFFF)
        return head + self.vr + short + self.value


def mutated(source: Encoded, chance: random.Random) -> Encoded:
    """The data set after one to four changes."""
    deflated = source.syntax == uid.DeflatedExplicitVRLittleEndian
    if deflated and chance.random() < 0.3:  # the stream itself
        return Encoded(content=_damaged(source.content, chance), syntax=source.syntax)
    plain = zlib.decompress(source.content, -zlib.MAX_WBITS) if deflated else source.content
    elements = list(_elements(Encoded(content=plain, syntax=source.syntax)))
    gentle = chance.random() < 0.7
    for _ in range(chance.randint(1, 4)):
        chance.choice(_GENTLE if gentle else _CHANGES)(elements, source, chance)
    content = b"".join(element.encoded(source) for element in elements)
    if not gentle and chance.random() < 0.5:
        content = _damaged(content, chance)
    if deflated:
        packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        content = packer.compress(content) + packer.flush()
    return Encoded(content=content, syntax=source.syntax)


def _elements(source: Encoded) -> Iterator[Element]:
    """The elements of a whole data set; the pixels may be of undefined length."""
    content, order, at = source.content, source.order, 0
    while at + 8 <= len(content):
        group, element = struct.unpack_from(f"{order}HH", content, at)
        vr = b"" if source.implicit else content[at + 4 : at + 6]
        wide = vr in _LONG_VRS
        form = f"{order}I" if wide or not vr else f"{order}H"
        place = at + (8 if wide else 6 if vr else 4)
        (length,) = struct.unpack_from(form, content, place)
        start = at + (12 if wide else 8)
        end = len(content) if length == 0xFFFFFFFF else start + length
        yield Element(tag=group << 16 | element, vr=vr, length=length, value=content[start:end])
        at = end


def _damaged(content: bytes, chance: random.Random) -> bytes:
    """Bits turned over, bytes cut off, cut out, doubled or put in."""
    damaged, kind = bytearray(content), chance.randrange(5)
    at = chance.randrange(len(damaged)) if damaged else 0
    if kind == 0:
        for _ in range(chance.randint(1, 20)):
            place = chance.randrange(min(len(damaged), chance.choice((400, 4000, 1 << 30))) or 1)
            if damaged:
                damaged[place] ^= 1 << chance.randrange(8)
    elif kind == 1:
        del damaged[at:]
    elif kind == 2:
        del damaged[at : at + chance.randint(1, 64)]
    elif kind == 3:
        damaged[at:at] = damaged[at : at + chance.randint(1, 500)]
    else:
        damaged[at:at] = chance.randbytes(chance.randint(1, 64))
    return bytes(damaged)


def nested(depth: int, source: Encoded, *, defined: bool, inside: bytes = b"") -> bytes:
    """A sequence in a sequence, `depth` times, as the value of the outermost one's element."""
    order = source.order
    item, item_end, end = (
        struct.pack(f"{order}HHI", 0xFFFE, tag, 0xFFFFFFFF if tag == 0xE000 else 0)
        for tag in (0xE000, 0xE00D, 0xE0DD)
    )
    head = struct.pack(f"{order}HH", 0x0008, 0x1140) + (b"" if source.implicit else b"SQ\0\0")
    if not defined:
        opening = item + (head + struct.pack(f"{order}I", 0xFFFFFFFF) + item) * (depth - 1)
        return opening + inside + (item_end + end) * (depth - 1) + item_end + end
    parts, length = [inside], len(inside)
    for level in range(depth):
        parts.append(struct.pack(f"{order}HHI", 0xFFFE, 0xE000, length))
        length += 8
        if level < depth - 1:
            parts.append(head + struct.pack(f"{order}I", length))
            length += len(head) + 4
    return b"".join(reversed(parts[1:])) + inside


Change = Callable[[list[Element], Encoded, random.Random], None]


def _one(elements: list[Element], chance: random.Random) -> Element:
    """Often one that is read."""
    worth = [element for element in elements if element.tag in _WORTHWHILE]
    return chance.choice(worth if worth and chance.random() < 0.7 else elements)


def _set(element: Element, value: bytes) -> None:
    element.value = value + b" " * (len(value) % 2)
    element.length = len(element.value)


def _text(elements: list[Element], source: Encoded, chance: random.Random) -> None:
    _set(_one(elements, chance), chance.choice(_TEXTS))


def _number(elements: list[Element], source: Encoded, chance: random.Random) -> None:
    value = struct.pack(f"{source.order}H", chance.choice(_NUMBERS))
    sizes = [one for one in elements if one.tag >> 16 == 0x0028 and len(one.value) == 2]
    _set(chance.choice(sizes or elements), value * chance.choice((1, 1, 1, 2, 100)))


def _vr(elements: list[Element], source: Encoded, chance: random.Random) -> None:
    _one(elements, chance).vr = chance.choice(_VRS)


def _length(elements: list[Element], source: Encoded, chance: random.Random) -> None:
    element = _one(elements, chance)
    near = (element.length + difference for difference in (-2, -1, 1, 2))
    element.length = chance.choice((*_LENGTHS, *near)) & 0xFFFFFFFF


def _nest(elements: list[Element], source: Encoded, chance: random.Random) -> None:
    defined = chance.random() < 0.5
    depth = chance.choice((1, 2, 8, 30, 31, 32, 33, 200, DEEPEST))
    value = nested(depth, source, defined=defined)
    length = len(value) if defined else 0xFFFFFFFF
    tag = chance.choice((0x00081140, 0x00400275, 0x52009229, 0x52009230, 0x00091010, 0x0008103E))
    place = chance.randrange(len(elements) + 1)
    vr = chance.choice((b"SQ", b"UN"))
    elements.insert(place, Element(tag=tag, vr=vr, length=length, value=value))


def _repeat(elements: list[Element], source: Encoded, chance: random.Random) -> None:
    elements.insert(chance.randrange(len(elements) + 1), _one(elements, chance))


def _remove(elements: list[Element], source: Encoded, chance: random.Random) -> None:
    if len(elements) > 1:
        elements.remove(_one(elements, chance))


def _inside(elements: list[Element], source: Encoded, chance: random.Random) -> None:
    """Damage inside a value, also in sequences and compressed pixels; its length stays true."""
    long_ones = [element for element in elements if len(element.value) > 100]
    element = chance.choice(long_ones or elements)
    known = element.length != 0xFFFFFFFF
    element.value = _damaged(element.value, chance)
    if known:
        _set(element, element.value)


_GENTLE: tuple[Change, ...] = (_text, _number, _inside)  # mostly let in by the front door
_CHANGES: tuple[Change, ...] = (*_GENTLE, _vr, _length, _nest, _repeat, _remove)

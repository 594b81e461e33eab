"""C-STORE on the wire: the command set of a request read, that of a response written.

A command set is Implicit VR Little Endian (PS3.7 6.3.1); its elements are in PS3.7 E.1.
"""

import re
import struct
from dataclasses import dataclass

from pynetdicom.association import Association

_HEAD = struct.Struct("<HHI")  # group, element, length
_SHORT = struct.Struct("<H")
_UID = re.compile(rb"[0-9.]{1,64}\0?")

_CLASS_UID, _FIELD, _MESSAGE_ID, _ANSWERED_ID = 0x0002, 0x0100, 0x0110, 0x0120
_PRIORITY, _DATA_SET_TYPE, _STATUS, _SOP_UID = 0x0700, 0x0800, 0x0900, 0x1000
_STORE_REQUEST, _STORE_RESPONSE = 0x0001, 0x8001  # of the Command Field
_NO_DATA_SET = 0x0101
_PRIORITIES = range(3)  # medium, high, low


@dataclass(frozen=True, kw_only=True)
class StoreRequest:
    """An image that a peer wants kept: what it says of it, and the encoded data set."""

    association: Association
    sop_class_uid: str
    sop_uid: str
    priority: int
    transfer_syntax_uid: str
    encoded: memoryview


@dataclass(frozen=True, kw_only=True)
class StoreCommand:
    """The mandatory fields of a C-STORE request (PS3.7 9.3.1.1)."""

    message_id: int
    sop_class_uid: str
    sop_uid: str
    priority: int


def read_request(command: bytes) -> StoreCommand | None:
    """The command of a C-STORE request with a data set.

    None for any other message, and for a request that is not as it should be: it is not judged
    here.
    """
    try:
        values = _elements(command)
        if _number(values[_FIELD]) != _STORE_REQUEST:
            return None
        if _number(values[_DATA_SET_TYPE]) == _NO_DATA_SET:
            return None
        priority = _number(values[_PRIORITY])
        return StoreCommand(
            message_id=_number(values[_MESSAGE_ID]),
            sop_class_uid=_uid(values[_CLASS_UID]),
            sop_uid=_uid(values[_SOP_UID]),
            priority=_PRIORITIES[priority],
        )
    except (KeyError, IndexError, ValueError, struct.error):
        return None


def response(request: StoreCommand, status: int) -> bytes:
    """The command set of the C-STORE response (PS3.7 9.3.1.2)."""
    content = b"".join(
        [
            _text(_CLASS_UID, request.sop_class_uid),
            _us(_FIELD, _STORE_RESPONSE),
            _us(_ANSWERED_ID, request.message_id),
            _us(_DATA_SET_TYPE, _NO_DATA_SET),
            _us(_STATUS, status),
            _text(_SOP_UID, request.sop_uid),
        ]
    )
    return _HEAD.pack(0, 0, 4) + struct.pack("<I", len(content)) + content


def _elements(command: bytes) -> dict[int, bytes]:
    """The values by element number. Raises ValueError or struct.error where it is no command."""
    values: dict[int, bytes] = {}
    position = 0
    while position < len(command):
        group, element, length = _HEAD.unpack_from(command, position)
        position += _HEAD.size + length
        if group != 0 or element in values or position > len(command):
            raise ValueError("The command set is damaged.")
        values[element] = command[position - length : position]
    return values


def _number(value: bytes) -> int:
    number: int = _SHORT.unpack(value)[0]
    return number


def _uid(value: bytes) -> str:
    if not _UID.fullmatch(value):
        raise ValueError("This is no UID.")
    return value.rstrip(b"\0").decode("ascii")


def _us(element: int, number: int) -> bytes:
    return _HEAD.pack(0, element, 2) + _SHORT.pack(number)


def _text(element: int, uid: str) -> bytes:
    value = uid.encode("ascii") + b"\0" * (len(uid) % 2)
    return _HEAD.pack(0, element, len(value)) + value

"""C-STORE command sets: read and written as pynetdicom writes and reads them."""

import struct
from io import BytesIO

import pytest
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, C_STORE_RSP, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import P_DATA_TF

from agent.dicom import pdus, store_messages
from agent.dicom.store_messages import StoreCommand

MR = "1.2.840.10008.5.1.4.1.1.4"
ODD, EVEN = "1.2.840.1", "1.2.840.12"


def request(**changed: object) -> bytes:
    """The command set of a C-STORE request."""
    primitive = C_STORE()
    primitive.MessageID = 7
    primitive.Priority = 1
    primitive.AffectedSOPClassUID = MR
    primitive.AffectedSOPInstanceUID = ODD
    primitive.DataSet = BytesIO(b"data")
    for name, value in changed.items():
        setattr(primitive, name, value)
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    return command_of(message)


def command_of(message: DIMSEMessage) -> bytes:
    first = next(iter(message.encode_msg(1, 16384)))
    return first.presentation_data_value_list[0][1][1:]


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


@pytest.mark.parametrize("uid", [ODD, EVEN, "1." + "2" * 62])
def test_a_request_is_read(uid: str) -> None:
    read = store_messages.read_request(request(AffectedSOPInstanceUID=uid))
    assert read == StoreCommand(message_id=7, sop_class_uid=MR, sop_uid=uid, priority=1)


def test_a_request_that_a_move_brought_about_is_read() -> None:
    moved = request(MoveOriginatorApplicationEntityTitle="MOVER", MoveOriginatorMessageID=3)
    assert store_messages.read_request(moved) == store_messages.read_request(request())


def echo() -> bytes:
    primitive = C_ECHO()
    primitive.MessageID = 1
    primitive.AffectedSOPClassUID = "1.2.840.10008.1.1"
    message = C_ECHO_RQ()
    message.primitive_to_message(primitive)
    return command_of(message)


WHOLE = request()
ODD_ONES = {
    "another message": echo(),
    "no data set": request(DataSet=None),
    "no priority": WHOLE.replace(element(0x0700, b"\1\0"), b""),
    "a priority that is none": WHOLE.replace(element(0x0700, b"\1\0"), element(0x0700, b"\3\0")),
    "a UID with a letter": WHOLE.replace(ODD.encode(), b"1.2.840.a"),
    "a number of four bytes": WHOLE.replace(element(0x0110, b"\7\0"), element(0x0110, b"\7\0\0\0")),
    "an element twice": WHOLE + element(0x0110, b"\7\0"),
    "an element of another group": WHOLE + b"\x08" + element(0x0005, b"")[1:],
    "a command cut off": WHOLE[:-3],
    "a cut off head": WHOLE + b"\0\0",
    "nothing": b"",
}


@pytest.mark.parametrize("command", ODD_ONES.values(), ids=ODD_ONES)
def test_what_is_no_usual_request_is_left_to_pynetdicom(command: bytes) -> None:
    assert store_messages.read_request(command) is None


@pytest.mark.parametrize("maximum", [0, 16384, 60, 7])
@pytest.mark.parametrize("status", [0x0000, 0xA700, 0xC000])
@pytest.mark.parametrize("uid", [ODD, EVEN])
def test_a_response_is_the_one_that_pynetdicom_sends(uid: str, status: int, maximum: int) -> None:
    primitive = C_STORE()
    primitive.MessageIDBeingRespondedTo = 65535
    primitive.AffectedSOPClassUID = MR
    primitive.AffectedSOPInstanceUID = uid
    primitive.Status = status
    message = C_STORE_RSP()
    message.primitive_to_message(primitive)
    expected = [P_DATA_TF(one).encode() for one in message.encode_msg(5, maximum)]
    command = StoreCommand(message_id=65535, sop_class_uid=MR, sop_uid=uid, priority=0)
    made = pdus.command(5, store_messages.response(command, status), maximum)
    assert made == b"".join(expected)

"""PDUs as bytes, and sockets that send them: what no honest sender's library would do."""

import socket
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import build_context
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import A_ASSOCIATE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)

from agent.dicom import wire
from reception import HOST, encoded

RELEASE = bytes.fromhex("05 00 00000004 00000000")
ABORT = bytes.fromhex("07 00 00000004 00000000")
ECHO_CONTEXT, STORE_CONTEXT = 1, 3
COMMAND, DATA, LAST = 1, 0, 2  # bits of the message control header


def association_request(title: str = "MODALITY") -> bytes:
    """A-ASSOCIATE-RQ for C-ECHO and for MR images."""
    asked = A_ASSOCIATE()
    asked.application_context_name = "1.2.840.10008.3.1.1.1"
    asked.calling_ae_title = title
    asked.called_ae_title = "NODE"
    echo = build_context(wire.VERIFICATION)
    store = build_context(MRImageStorage, ExplicitVRLittleEndian)
    echo.context_id, store.context_id = ECHO_CONTEXT, STORE_CONTEXT
    asked.presentation_context_definition_list = [echo, store]
    size, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    size.maximum_length_received = 16384
    implementation.implementation_class_uid = "1.2.3.4"
    asked.user_information = [size, implementation]
    return bytes(A_ASSOCIATE_RQ(asked).encode())


def p_data(context_id: int, control: int, content: bytes) -> bytes:
    """P-DATA-TF with one fragment."""
    value = struct.pack(">LBB", len(content) + 2, context_id, control) + content
    return struct.pack(">BBL", 4, 0, len(value)) + value


def echo(message_id: int = 1) -> list[bytes]:
    """The PDUs of a C-ECHO request."""
    primitive = C_ECHO()
    primitive.MessageID = message_id
    primitive.AffectedSOPClassUID = wire.VERIFICATION
    message = C_ECHO_RQ()
    message.primitive_to_message(primitive)
    return [bytes(P_DATA_TF(one).encode()) for one in message.encode_msg(ECHO_CONTEXT, 16384)]


def store(dataset: Dataset) -> list[bytes]:
    """The PDUs of a C-STORE request."""
    primitive = C_STORE()
    primitive.MessageID = 1
    primitive.Priority = 2
    primitive.AffectedSOPClassUID = dataset.SOPClassUID
    primitive.AffectedSOPInstanceUID = dataset.SOPInstanceUID
    primitive.DataSet = BytesIO(encoded(dataset))
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    return [bytes(P_DATA_TF(one).encode()) for one in message.encode_msg(STORE_CONTEXT, 16384)]


@contextmanager
def connection(port: int, *, address: str = HOST, seconds: float = 20.0) -> Iterator[socket.socket]:
    """A plain connection from a loopback address."""
    with socket.create_connection((HOST, port), seconds, source_address=(address, 0)) as opened:
        yield opened


@contextmanager
def raw_association(port: int, *, title: str = "MODALITY") -> Iterator[socket.socket]:
    """A connection with an accepted association, and no library on this side."""
    with connection(port) as opened:
        opened.sendall(association_request(title))
        assert read_pdu(opened)[:1] == b"\x02", "the association was not accepted"
        yield opened


@contextmanager
def silent_crowd(port: int, count: int, addresses: Sequence[str]) -> Iterator[list[socket.socket]]:
    """Connections that say nothing, from these loopback addresses in turn."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(connection(port, address=addresses[number % len(addresses)]))
            for number in range(count)
        ]


def send_all(opened: socket.socket, pieces: Iterable[bytes], *, pause_seconds: float = 0.0) -> None:
    """Send pieces one after the other; `OSError` once the other side has closed."""
    for piece in pieces:
        opened.sendall(piece)
        time.sleep(pause_seconds)


def read_pdu(opened: socket.socket) -> bytes:
    """The next PDU; empty where the connection was closed instead."""
    header = _exactly(opened, 6)
    return header + _exactly(opened, int.from_bytes(header[2:], "big")) if header else b""


def read_to_end(opened: socket.socket) -> bytes:
    """Everything until the other side closes; `TimeoutError` where it does not."""
    received = b""
    try:
        while more := opened.recv(65536):
            received += more
    except ConnectionResetError:
        pass
    return received


def resident_bytes(pid: int) -> int:
    """Memory of a process that is not swapped out (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def _exactly(opened: socket.socket, count: int) -> bytes:
    received = b""
    try:
        while len(received) < count:
            more = opened.recv(count - len(received))
            if not more:
                return b""
            received += more
    except ConnectionResetError:
        return b""
    return received

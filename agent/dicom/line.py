"""How the PDUs of an association are read: within limits, before memory is taken for them.

pynetdicom reads whatever length a PDU announces. A `Line` takes the place of that one method:
it knows the largest PDU of each type and how slow is too slow. What goes beyond ends the
association with A-ABORT (PS3.8 9.3.8) and one line in the log.
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ABORT_RQ
from pynetdicom.pdu_primitives import P_DATA

from agent.dicom import wire
from agent.dicom.established import Established
from agent.dicom.message_limits import Limits, MessageCount
from agent.dicom.notices import Notices
from agent.dicom.pdus import HEADER_BYTES, AbortReason, Fault, Fragment, PduType
from agent.dicom.store_messages import StoreRequest
from agent.dicom.store_path import Serve, StorePath
from agent.dicom.wire import MAXIMUM_PDU_BYTES

_SLACK_BYTES = 64  # for peers that count the headers in their own way
_SHORT_BYTES = 4  # the length of a release and of an abort (PS3.8 9.3.6 to 9.3.8)
_DRAIN_BYTES = 65536
_DRAIN_SECONDS = 0.1
_HASTE_SECONDS = 0.05  # sooner than that no shorter limit is set, which costs a call

_log = logging.getLogger(__name__)


class _Ended(Exception):
    """The connection is no more."""


class Line:
    """Reads for one association, in the thread of its upper layer. To be made before it starts.

    `serve` gives the status of each C-STORE request.
    """

    def __init__(
        self, association: Association, limits: Limits, notices: Notices, serve: Serve
    ) -> None:
        self._association = association
        self._dul = association.dul
        self._silence_seconds = limits.silence_seconds
        self._notices = notices
        self._message = MessageCount(limits)
        self._fault: Fault | None = None
        self._is_told = False
        self._serve = serve
        self._established = Established(association, self.read_pdu)
        self._stores = StorePath(
            association,
            serve=self.serve,
            answer=self._established.answer,
            pass_on=self.receive,
        )
        association.bind(evt.EVT_DIMSE_SENT, lambda _: self._message.answered())
        self._receive_message = association.dimse.receive_primitive
        self._send = association.dul._send
        # pynetdicom has no other way in.
        association.dul._read_pdu_data = self.read_pdu  # type: ignore[method-assign]
        association.dul._send = self.send  # type: ignore[method-assign]
        association.dimse.receive_primitive = self.receive  # type: ignore[method-assign]
        for thread in (association.dul, association):
            thread.run = self._guarded(thread.run)  # type: ignore[method-assign]

    def read_pdu(self) -> None:
        """Take one PDU from the socket and say by an event which it was (PS3.8 9.2)."""
        if self._association.dimse.msg_queue.qsize() > 0:
            return  # the next one waits in the sender's memory, not in ours
        try:
            if self._fault is not None:
                self._drain()
                return
            content = self._whole_pdu()
            if content[0] == PduType.P_DATA:
                fragments = self._message.take_fragments(memoryview(content)[HEADER_BYTES:])
                if self._dul.state_machine.current_state == "Sta6":
                    self._take(fragments)
                    return
            pdu, event = self._decoded(content)
        except _Ended:
            self._dul.event_queue.put("Evt17")  # transport connection closed
        except Fault as fault:
            self._blame(fault)
        else:
            self._dul._recv_pdu.put(pdu)  # type: ignore[arg-type]
            self._dul.event_queue.put(event)

    def _take(self, fragments: list[Fragment]) -> None:
        for fragment in fragments:
            if self._fault is None:
                self._stores.take(fragment)

    def serve(self, request: StoreRequest) -> int:
        """Serve a C-STORE request; while that takes time, the peer is not silent."""
        self._dul._idle_timer.restart()
        self._dul._idle_timer.stop()
        try:
            return self._serve(request)
        finally:
            self._message.answered()

    def send(self, pdu: object) -> None:
        """Send a PDU; an A-ABORT for a fault of the peer's says which, and is logged."""
        if isinstance(pdu, A_ABORT_RQ) and pdu.source == 2:
            if self._fault is None:
                self._tell("It did not keep to the protocol.")
            else:
                pdu.reason_diagnostic = self._fault.reason
        self._send(pdu)  # type: ignore[arg-type]

    def receive(self, primitive: P_DATA) -> None:
        """Put fragments together to messages; the thread would die of one that is none."""
        try:
            self._receive_message(primitive)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's bytes bring about
            self._blame(Fault(f"A message was none ({type(error).__name__})."))

    def _whole_pdu(self) -> bytearray:
        connection = self._connection()
        deadline = time.monotonic() + self._silence_seconds
        header = bytearray(HEADER_BYTES)
        _fill(connection, memoryview(header), deadline)
        length = int.from_bytes(header[2:], "big")
        _check_header(header[0], length)
        content = bytearray(HEADER_BYTES + length)
        content[:HEADER_BYTES] = header
        _fill(connection, memoryview(content)[HEADER_BYTES:], deadline)
        wire.acknowledge(connection)
        return content

    def _connection(self) -> socket.socket:
        wrapped = self._dul.socket
        if wrapped is None or wrapped.socket is None:
            raise _Ended
        return wrapped.socket

    def _drain(self) -> None:
        """After a fault, read without keeping: a close would hide our A-ABORT from the peer."""
        with contextlib.suppress(Fault):
            read = memoryview(bytearray(_DRAIN_BYTES))
            _fill(self._connection(), read, time.monotonic() + _DRAIN_SECONDS)

    def _decoded(self, content: bytearray) -> tuple[object, str]:
        try:
            return self._dul._decode_pdu(content)
        except Exception as error:
            raise Fault(f"A PDU cannot be decoded ({type(error).__name__}).") from error

    def _blame(self, fault: Fault) -> None:
        """End the association with A-ABORT."""
        self._fault = fault
        self._association.dimse.message = None
        self._stores.forget()
        self._message.close()
        self._tell(str(fault))
        self._dul.event_queue.put("Evt19")  # unrecognised or invalid PDU

    def _tell(self, sentence: str) -> None:
        if self._is_told:
            return  # what comes after a fault follows from it
        self._is_told = True
        address = str(self._association.requestor.address)
        self._notices.tell(
            logging.WARNING,
            address,
            f"An association from {address} was aborted. {sentence}",
            action="association_aborted",
        )

    def _guarded(self, run: Callable[[], None]) -> Callable[[], None]:
        """A thread of pynetdicom's that ends in one line instead of a page, and cleans up."""

        def guarded() -> None:
            try:
                run()
            except Exception as error:  # noqa: BLE001 - a border: the node goes on
                self._tell(f"It could not be served ({type(error).__name__}).")
                self._dul.kill_dul()
                self._association.dul.socket.close()  # type: ignore[union-attr]
            finally:
                self._message.close()
                self._stores.forget()
                if threading.current_thread() is self._dul:  # the one that waits in it
                    self._established.close()

        return guarded


def _fill(connection: socket.socket, target: memoryview, deadline: float) -> None:
    """Read as many bytes as have room; `Fault` at the deadline, `_Ended` at the end."""
    seconds = connection.gettimeout()
    position = 0
    try:
        while position < len(target):
            left = max(deadline - time.monotonic(), 0.001)
            if seconds is None or left < seconds - _HASTE_SECONDS:
                connection.settimeout(left)
            received = connection.recv_into(target[position:])
            if not received:
                raise _Ended
            position += received
    except TimeoutError as error:
        raise Fault("A PDU came too slowly.", AbortReason.NOT_SPECIFIED) from error
    except OSError as error:
        raise _Ended from error
    finally:
        if connection.gettimeout() != seconds and connection.fileno() >= 0:
            connection.settimeout(seconds)  # for what is sent


def _check_header(pdu_type: int, length: int) -> None:
    if pdu_type == PduType.P_DATA:
        allowed = length <= MAXIMUM_PDU_BYTES + _SLACK_BYTES
    elif pdu_type in (PduType.RELEASE_RQ, PduType.RELEASE_RP, PduType.ABORT):
        allowed = length == _SHORT_BYTES
    else:
        raise Fault("A PDU came that has no place here.", AbortReason.UNEXPECTED_PDU)
    if not allowed:
        raise Fault(f"A PDU of type {pdu_type} would have {length} bytes.")

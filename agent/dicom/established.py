"""An association that stands waits for what comes, instead of looking a thousand times a second.

pynetdicom gives each association two threads that sleep a millisecond between two looks: one for
the upper layer, one for its user. Both wait here: the first for the connection and for what is to
be sent, the second for messages, release and abort. Before and after an association stands
(PS3.8 9.2: in another state than Sta6) pynetdicom goes on as it does.
"""

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable

from pynetdicom.association import Association
from pynetdicom.dimse_primitives import DimsePrimitiveType
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA, _PDUPrimitiveType

LOOK_SECONDS = 0.25  # how late a time limit may be noticed
_PAUSE_SECONDS = 0.001  # while a message waits for the user; until then nothing more is read


class Established:
    """Waits for one association, in both of its threads. To be made before it starts.

    `read` takes one PDU from the connection.
    """

    def __init__(self, association: Association, read: Callable[[], None]) -> None:
        self._association = association
        self._dul = association.dul
        self._read = read
        self._news = _News()
        self._wake, self._woken = socket.socketpair()
        for one in (self._wake, self._woken):
            one.setblocking(False)
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(self._woken, selectors.EVENT_READ)
        self._sending = threading.Lock()
        self._look_otherwise = self._dul._is_transport_event
        self._send_primitive = self._dul.send_pdu
        self._send_message = association.dimse.send_msg
        # pynetdicom has no other way in.
        association._reactor_checkpoint = self._news
        association.dimse.send_msg = self.send_message  # type: ignore[method-assign]
        self._dul.send_pdu = self.send_primitive  # type: ignore[method-assign]
        self._dul._is_transport_event = self.look  # type: ignore[method-assign]

    def look(self) -> bool:
        """Read PDUs while there is nothing else to do; False, for what was read is in the queues.

        In the thread of the upper layer.
        """
        if self._has_news():
            self._news.tell()
        if self._dul.state_machine.current_state != "Sta6":
            return self._look_otherwise()
        while self._is_idle() and self._comes():
            self._read()
            self._dul._idle_timer.restart()
        return False

    def answer(self, pdus: bytes) -> None:
        """Send a whole message from the thread of the upper layer, between two of the user's."""
        with self._sending:
            waiting = self._dul.to_provider_queue
            while waiting.qsize() and isinstance(waiting.queue[0], P_DATA):
                self._dul._send(P_DATA_TF(waiting.get(block=False)))  # type: ignore[arg-type]
            if self._association.is_established and self._dul.socket is not None:
                self._dul.socket.send(pdus)

    def send_message(self, primitive: DimsePrimitiveType, context_id: int) -> None:
        """Send a message of the user's, whose fragments stay together (PS3.7 annex E)."""
        with self._sending:
            self._send_message(primitive, context_id)

    def send_primitive(self, primitive: _PDUPrimitiveType) -> None:
        """Hand something to the upper layer, which wakes up."""
        self._send_primitive(primitive)
        with contextlib.suppress(OSError):  # full: it has been woken already; closed: it has ended
            self._wake.send(b"\0")

    def close(self) -> None:
        """The upper layer has ended: its user does not wait any more."""
        self._news.tell()
        self._waiting.close()
        self._wake.close()
        self._woken.close()

    def _has_news(self) -> bool:
        return bool(self._dul.to_user_queue.qsize() or self._association.dimse.msg_queue.qsize())

    def _is_idle(self) -> bool:
        dul = self._dul
        return not (dul.event_queue.qsize() or dul.to_provider_queue.qsize() or dul._kill_thread)

    def _comes(self) -> bool:
        """Wait for the connection; False when there may be something else to do."""
        if self._association.dimse.msg_queue.qsize():
            self._news.tell()
            time.sleep(_PAUSE_SECONDS)
            return False
        wrapped = self._dul.socket
        connection = wrapped.socket if wrapped is not None else None
        if connection is None or connection.fileno() < 0:
            return True  # reading will show that it has ended
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            return True
        if connection not in self._waiting.get_map():
            self._waiting.register(connection, selectors.EVENT_READ)
        ready = [key.fileobj for key, _ in self._waiting.select(LOOK_SECONDS)]
        if self._woken in ready:
            self._woken.recv(4096)
            return False
        return bool(ready)


class _News(threading.Event):
    """What an association's own thread stops before in each round; open, it waits for news."""

    def __init__(self) -> None:
        super().__init__()
        self._told = threading.Event()
        self.set()

    def wait(self, timeout: float | None = None) -> bool:
        self._told.wait(LOOK_SECONDS)
        self._told.clear()
        return super().wait(timeout)

    def set(self) -> None:
        super().set()
        self._told.set()

    def tell(self) -> None:
        """There is something to do."""
        self._told.set()

"""What every association of ours has in common: identity, socket options and time limits."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from ssl import SSLContext
from typing import Any, cast

from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.transport import AddressInformation, AssociationSocket

IMPLEMENTATION_CLASS_UID = "2.25.62002485224587450095219873120491951780"
IMPLEMENTATION_VERSION_NAME = "NEUROSIEVE"  # at most 16 characters (PS3.7 D.3.3.2.3)

VERIFICATION = UID("1.2.840.10008.1.1")  # the SOP class of C-ECHO

CONNECT_SECONDS = 10.0
NEGOTIATION_SECONDS = 30.0
MESSAGE_SECONDS = 60.0  # how long a peer may take for one answer
END_SECONDS = 5.0  # how long the threads of an association may take to end
IDLE_SECONDS = 60.0  # how long an association may stay silent

MAXIMUM_PDU_BYTES = 1024 * 1024  # that we take (PS3.8 D.1): large, so that images are few fragments

_LOOK_SECONDS = 0.05  # between two looks whether the other thread still lives

_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only


class Entity(AE):
    """An application entity that can close what pynetdicom leaves open, and knows a rejection.

    A socket whose connection failed is dropped by pynetdicom without being closed.
    """

    raw_socket: socket.socket | None = None

    def _create_socket(
        self,
        assoc: Association,
        address: AddressInformation,
        tls_args: tuple[SSLContext, str] | None,
    ) -> AssociationSocket:
        wrapped = super()._create_socket(assoc, address, tls_args)
        self.raw_socket = wrapped.socket
        return wrapped

    def associate(self, *arguments: Any, **named: Any) -> Association:
        """As pynetdicom does, which takes a rejection that comes at once for a broken line."""
        association = super().associate(*arguments, **named)
        answer = association.dul.peek_next_pdu()
        if isinstance(answer, A_ASSOCIATE) and answer.result:
            association.acceptor.primitive = answer
            association.is_rejected, association.is_aborted = True, False
        return association

    def close_dropped_socket(self, association: Association) -> None:
        """Close the socket of an association that failed or has ended."""
        wait_for_end([association])
        if self.raw_socket is not None:
            self.raw_socket.close()


class _Gate(threading.Event):
    """Holds an association's reactor thread back for as long as we talk to the peer.

    pynetdicom pauses the reactor for each message with an event and a flag, and looks at the flag
    too early: now and then the reactor runs on, takes the answer and throws it away, and the
    sender waits for it until time is out. This gate is closed once, says when the reactor stands
    before it, and does not heed pynetdicom's own opening and closing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.reached.set()
        return super().wait(timeout)

    def hold(self, association: Association) -> None:
        """Wait until the reactor stands here, or has ended: a peer may end what it has begun."""
        end = time.monotonic() + NEGOTIATION_SECONDS
        while association.is_alive() and time.monotonic() < end:
            if self.reached.wait(_LOOK_SECONDS):
                return

    def set(self) -> None:
        pass

    def clear(self) -> None:
        pass

    def open(self) -> None:
        super().set()


@contextlib.contextmanager
def answers_for_us(association: Association) -> Iterator[None]:
    """Inside the block every answer reaches the one who asked; the association ends in it."""
    gate, before = _Gate(), association._reactor_checkpoint
    association._reactor_checkpoint = gate
    before.set()  # should the reactor wait there
    if association.is_established:
        gate.hold(association)
    try:
        yield
    finally:
        if association._reactor_checkpoint is gate:  # and not that of another one who talks too
            association._reactor_checkpoint = before
        gate.open()


def wait_for_end(associations: Iterable[Association]) -> None:
    """Let the threads of associations that were released or aborted come to their end."""
    for association in associations:
        for thread in (association, association.dul):
            if thread.is_alive():
                thread.join(END_SECONDS)


def entity(ae_title: str) -> Entity:
    """An application entity with our identity and finite time limits."""
    # The standard handlers format every message for the log: slow, and they may show patient data.
    _config.LOG_HANDLER_LEVEL = "none"
    # A file given to send_c_store goes out as it lies on disk instead of being decoded.
    _config.STORE_SEND_CHUNKED_DATASET = True
    ae = Entity(ae_title=ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.maximum_pdu_size = MAXIMUM_PDU_BYTES
    ae.connection_timeout = CONNECT_SECONDS
    ae.acse_timeout = NEGOTIATION_SECONDS
    ae.dimse_timeout = MESSAGE_SECONDS
    ae.network_timeout = IDLE_SECONDS
    return ae


def send_at_once(event: evt.Event) -> None:
    """Switch off Nagle's algorithm, which otherwise costs up to 90 ms an image.

    To be bound to EVT_CONN_OPEN.
    """
    _set_option(event, socket.TCP_NODELAY)


def acknowledge_at_once(event: evt.Event) -> None:
    """Ask for immediate acknowledgements, for peers that keep Nagle's algorithm on.

    The kernel forgets the option, so it is to be bound to EVT_CONN_OPEN and EVT_PDU_RECV.
    """
    if _QUICK_ACK is not None:
        _set_option(event, _QUICK_ACK)


def acknowledge(connection: socket.socket) -> None:
    """The same for a connection that one reads oneself."""
    if _QUICK_ACK is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)


def store_request(event: evt.Event) -> C_STORE:
    """The request behind EVT_C_STORE, as the type it is."""
    return cast(C_STORE, event.request)


def _set_option(event: evt.Event, option: int) -> None:
    wrapped = event.assoc.dul.socket
    connection = wrapped.socket if wrapped is not None else None
    if connection is not None:
        with contextlib.suppress(OSError):  # the peer may have closed it in this moment
            connection.setsockopt(socket.IPPROTO_TCP, option, 1)

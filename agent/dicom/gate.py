"""Before an association: connections that have yet to show a whole A-ASSOCIATE-RQ.

One thread waits for all of them at once, TLS handshakes included, under one deadline. So a silent
connection costs neither a thread nor a place among the associations, and when there are too many
the oldest of the address with the most of them has to go: a sender that speaks is always served.
"""

import contextlib
import logging
import selectors
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.dicom import pdus
from agent.dicom.notices import Notices

REQUEST_SECONDS = 10.0  # from the connection to the whole request; half of it to the first byte
MAXIMUM_WAITING = 256  # connections without a request; each may hold MAXIMUM_REQUEST_BYTES
MAXIMUM_DECIDING = 64  # requests being answered: a thread each

_LOOK_SECONDS = 0.25
_ACCEPTS_AT_ONCE = 64
_READ_BYTES = 65536
_DROPPED = "It showed no association request within the time allowed."
_PUSHED_OUT = "It showed no association request, and many others came."

_log = logging.getLogger(__name__)


class Identity(Protocol):
    """What TLS needs: the context of this moment, for certificates are renewed."""

    def context(self) -> ssl.SSLContext:
        """To wrap the next connection with."""


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """A listening socket, whether it speaks TLS, and who takes the requests that come in by it."""

    listening: socket.socket
    identity: Identity | None = None
    admit: Callable[["Request"], None]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A connection, blocking again, and its whole A-ASSOCIATE-RQ PDU."""

    connection: socket.socket
    address: tuple[str, int]
    pdu: bytes


@dataclass(kw_only=True, eq=False)
class _Waiting:
    connection: socket.socket
    address: tuple[str, int]
    entrance: Entrance
    since: float
    shaking_hands: bool
    request: bytearray = field(default_factory=bytearray)


class Gate:
    """Turns connections into association requests, or away."""

    def __init__(
        self,
        entrances: Sequence[Entrance],
        *,
        request_seconds: float = REQUEST_SECONDS,
        maximum_waiting: int = MAXIMUM_WAITING,
        notices: Notices | None = None,
    ) -> None:
        self._entrances = entrances
        self._request_seconds = request_seconds
        self._maximum_waiting = maximum_waiting
        self._notices = notices or Notices(_log)
        self._waiting: dict[socket.socket, _Waiting] = {}  # in the order of their coming
        self._deciding = threading.BoundedSemaphore(MAXIMUM_DECIDING)
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="gate", daemon=True)

    def start(self) -> None:
        """Take connections from now on."""
        for entrance in self._entrances:
            entrance.listening.setblocking(False)
            self._selector.register(entrance.listening, selectors.EVENT_READ, entrance)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._thread.start()

    def stop(self) -> None:
        """Close the entrances and every connection that still waits."""
        self._wake.close()
        self._thread.join()
        self._woken.close()
        for one in (*self._waiting, *(entrance.listening for entrance in self._entrances)):
            one.close()
        self._selector.close()

    @property
    def waiting_count(self) -> int:
        """Connections that have shown no whole request yet."""
        return len(self._waiting)

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select(_LOOK_SECONDS):
                if key.data is None:
                    return  # the other end of the wake pair was closed
                try:
                    if isinstance(key.data, Entrance):
                        self._accept(key.data)
                    elif key.data.connection in self._waiting:  # not pushed out in this round
                        self._go_on(key.data)
                except Exception:  # noqa: BLE001 - one connection must not shut the gate
                    _log.exception("The gate failed", extra={"action": "gate_failed"})
                    if isinstance(key.data, _Waiting):
                        self._forget(key.data)
            self._drop_late_ones()

    def _accept(self, entrance: Entrance) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                connection, address = entrance.listening.accept()
            except BlockingIOError:
                return
            except OSError:  # often no descriptor left; or the peer has gone already
                self._push_one_out()
                return
            if len(self._waiting) >= self._maximum_waiting:
                self._push_one_out()
            self._take_in(entrance, connection, address[:2])

    def _take_in(
        self, entrance: Entrance, connection: socket.socket, address: tuple[str, int]
    ) -> None:
        connection.setblocking(False)
        if entrance.identity is not None:
            try:
                connection = entrance.identity.context().wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                )
            except OSError:  # the peer has gone already
                connection.close()
                return
        one = _Waiting(
            connection=connection,
            address=address,
            entrance=entrance,
            since=time.monotonic(),
            shaking_hands=entrance.identity is not None,
        )
        self._waiting[connection] = one
        self._selector.register(connection, selectors.EVENT_READ, one)

    def _go_on(self, one: _Waiting) -> None:
        """Read what there is, and hand the request over once it is whole."""
        try:
            if one.shaking_hands and isinstance(one.connection, ssl.SSLSocket):
                one.connection.do_handshake()
                one.shaking_hands = False
            while missing := pdus.missing_bytes(one.request):
                received = one.connection.recv(min(missing, _READ_BYTES))
                if not received:
                    raise ValueError("It closed without an association request.")
                one.request += received
        except (BlockingIOError, ssl.SSLWantReadError):
            self._selector.modify(one.connection, selectors.EVENT_READ, one)
        except ssl.SSLWantWriteError:
            self._selector.modify(one.connection, selectors.EVENT_WRITE, one)
        except ssl.SSLError as error:
            self._turn_away(one, f"No TLS came about: {_reason(error)}.")
        except OSError:
            self._turn_away(one, "It broke off without an association request.")
        except ValueError as error:
            self._turn_away(one, str(error))
        else:
            self._hand_over(one)

    def _hand_over(self, one: _Waiting) -> None:
        if not self._deciding.acquire(blocking=False):
            self._turn_away(one, "Too many association requests came at once.")
            return
        del self._waiting[one.connection]
        self._selector.unregister(one.connection)
        # A thread, because the name of a peer may have to be looked up.
        threading.Thread(target=self._decide, args=[one], name="admission", daemon=True).start()

    def _decide(self, one: _Waiting) -> None:
        try:
            one.connection.settimeout(self._request_seconds)
            request = Request(
                connection=one.connection, address=one.address, pdu=bytes(one.request)
            )
            one.entrance.admit(request)
        except Exception:  # noqa: BLE001 - a border: the node goes on
            _log.exception("An admission failed", extra={"action": "admission_failed"})
            one.connection.close()
        finally:
            self._deciding.release()

    def _drop_late_ones(self) -> None:
        now = time.monotonic()
        for one in tuple(self._waiting.values()):
            has_begun = one.request and not one.shaking_hands
            allowed = self._request_seconds * (1.0 if has_begun else 0.5)
            if now - one.since > allowed:
                self._turn_away(one, _DROPPED)

    def _push_one_out(self) -> None:
        """The oldest of the address that has the most of them."""
        if not self._waiting:
            return
        crowd = Counter(one.address[0] for one in self._waiting.values()).most_common(1)[0][0]
        oldest = next(one for one in self._waiting.values() if one.address[0] == crowd)
        self._turn_away(oldest, _PUSHED_OUT)

    def _turn_away(self, one: _Waiting, why: str) -> None:
        self._notices.tell(
            logging.INFO,
            one.address[0],
            f"A connection from {one.address[0]} was closed. {why}",
            action="connection_closed",
        )
        self._forget(one)

    def _forget(self, one: _Waiting) -> None:
        self._waiting.pop(one.connection, None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(one.connection)
        one.connection.close()


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's own word, such as `certificate has expired`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (error.reason or "the connection ended").replace("_", " ").lower()

"""From an association request to an association, or to a rejection (PS3.8 9.3.4).

The place of pynetdicom's own server: it hands over connections whose request was read already, and
counts exactly, where pynetdicom counts connections that have said nothing yet.
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from agent.dicom import pdus, tls, wire
from agent.dicom.front_door import FrontDoor
from agent.dicom.gate import Entrance, Gate, Identity, Request
from agent.dicom.line import Line
from agent.dicom.message_limits import MAXIMUM_OBJECT_BYTES, Budget, Limits
from agent.dicom.notices import Notices
from agent.dicom.store_path import Serve

NOT_RECOGNISED = pdus.rejection(1, 1, 3)  # permanent, service user, calling AE title
LOCAL_LIMIT_EXCEEDED = pdus.rejection(2, 3, 2)  # transient, presentation layer

_END_SECONDS = 5.0  # how long a peer may take to close the connection (ARTIM, PS3.8 9.1.5)
_LINGER_SECONDS = 1.0  # how long a peer that was rejected may take to close
_MAXIMUM_LINGERING = 16  # of those at a time; the others are closed at once
_STOP_POLL_SECONDS = 0.05
_WORKING_OBJECTS = 2  # of the largest size that may be in memory at once

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Quota:
    """What peers may take."""

    associations: int = 20  # in all
    associations_per_peer: int = 10  # of one address, and of one AE title
    object_bytes: int = MAXIMUM_OBJECT_BYTES
    request_seconds: float = 10.0  # from the connection to the whole association request


@dataclass(frozen=True, kw_only=True)
class TlsEntrance:
    """A second port, which speaks TLS."""

    port: int
    identity: Identity


class Admission:
    """Everybody who wants to come in, and those who are in."""

    def __init__(
        self,
        entity: AE,
        handlers: Sequence[EventHandlerType],
        *,
        door: FrontDoor,
        quota: Quota,
        serve: Serve,
        on_rejected: Callable[[str, str], None] = lambda _title, _address: None,
    ) -> None:
        self._entity = entity
        self._handlers = list(handlers)
        self._door = door
        self._quota = quota
        self._serve = serve
        self._on_rejected = on_rejected
        self._notices = Notices(_log)
        self._inside: list[_Place] = []
        self._lock = threading.Lock()
        self._lingering = threading.BoundedSemaphore(_MAXIMUM_LINGERING)
        self._gate: Gate | None = None
        self._limits = Limits(
            silence_seconds=float(entity.network_timeout or _END_SECONDS),
            object_bytes=quota.object_bytes,
            budget=Budget(_WORKING_OBJECTS * quota.object_bytes),
        )
        entity.acse_timeout = _END_SECONDS
        # Ours is the count; pynetdicom's would reject all of those that come at once.
        entity.maximum_associations = 2 * quota.associations + 1

    def open(
        self, host: str, *, port: int | None, tls_entrance: TlsEntrance | None = None
    ) -> list[int]:
        """Listen, and say on which ports. Raises `OSError` when one is taken."""
        wanted: list[tuple[int, Identity | None]] = []
        if port is not None:
            wanted.append((port, None))
        if tls_entrance is not None:
            wanted.append((tls_entrance.port, tls_entrance.identity))
        entrances: list[Entrance] = []
        try:
            entrances.extend(self._entrance(host, *one) for one in wanted)
        except OSError:
            for entrance in entrances:
                entrance.listening.close()
            raise
        self._gate = Gate(
            entrances, request_seconds=self._quota.request_seconds, notices=self._notices
        )
        self._gate.start()
        return [int(one.listening.getsockname()[1]) for one in entrances]

    def close(self, *, grace_seconds: float) -> None:
        """Let nobody in any more, give those inside time to end, abort the rest."""
        if self._gate is not None:
            self._gate.stop()
        end = time.monotonic() + grace_seconds
        while self.associations and time.monotonic() < end:
            time.sleep(_STOP_POLL_SECONDS)
        left = self.associations
        for association in left:
            association.abort(block=False)
        wire.wait_for_end(left)

    @property
    def associations(self) -> list[Association]:
        """Those that are open."""
        with self._lock:
            return [
                one.association
                for one in self._inside
                if one.association is not None and one.is_taken
            ]

    def _entrance(self, host: str, port: int, identity: Identity | None) -> Entrance:
        server = self._entity.make_server(
            (host, port), evt_handlers=self._handlers, server_class=_Server
        )
        server = cast(_Server, server)

        def admit(request: Request) -> None:
            self._admit(request, server)

        return Entrance(
            listening=cast(socket.socket, server.socket), identity=identity, admit=admit
        )

    def _admit(self, request: Request, server: "_Server") -> None:
        asked = A_ASSOCIATE_RQ()
        try:
            asked.decode(request.pdu)
            title = str(asked.to_primitive().calling_ae_title).strip()
        except Exception as error:  # noqa: BLE001 - whatever a stranger's bytes bring about
            why = f"Its association request cannot be decoded ({type(error).__name__})."
            self._notices.tell(
                logging.INFO,
                request.address[0],
                f"A connection from {request.address[0]} was closed. {why}",
                action="connection_closed",
            )
            return request.connection.close()
        reason = self._refusal(title, request)
        if reason is not None:
            self._on_rejected(title, request.address[0])
            return self._reject(request, title, reason, NOT_RECOGNISED)
        place = _Place(title=title, address=request.address[0])
        if not self._take(place):
            return self._reject(request, title, "Too many are open.", LOCAL_LIMIT_EXCEEDED)
        try:
            place.association = self._started(request, asked, server)
        except BaseException:
            self._leave(place)
            raise

    def _refusal(self, title: str, request: Request) -> str | None:
        try:
            return self._door.refusal(title, request.address[0], tls.names(request.connection))
        except Exception:  # noqa: BLE001 - nobody comes in by our mistake
            _log.exception("The front door failed", extra={"action": "front_door_failed"})
            return "Whether it may come in could not be found out."

    def _take(self, place: "_Place") -> bool:
        with self._lock:
            self._inside = [one for one in self._inside if one.is_taken]
            of_address = sum(one.address == place.address for one in self._inside)
            of_title = sum(one.title == place.title for one in self._inside)
            if (
                len(self._inside) >= self._quota.associations
                or max(of_address, of_title) >= self._quota.associations_per_peer
            ):
                return False
            self._inside.append(place)
            return True

    def _leave(self, place: "_Place") -> None:
        with self._lock:
            self._inside.remove(place)

    def _reject(self, request: Request, title: str, why: str, answer: bytes) -> None:
        self._notices.tell(
            logging.WARNING,
            request.address[0],
            f"An association of {title!r} from {request.address[0]} was rejected. {why}",
            action="association_rejected",
        )
        # The peer closes (PS3.8 9.2.3, AE-8): some miss an answer that comes with an end.
        waits = self._lingering.acquire(blocking=False)
        with request.connection as connection, contextlib.suppress(OSError):
            connection.sendall(answer)
            connection.settimeout(_LINGER_SECONDS if waits else 0.0)
            connection.recv(1)
        if waits:
            self._lingering.release()

    def _started(self, request: Request, asked: A_ASSOCIATE_RQ, server: "_Server") -> Association:
        request.connection.settimeout(self._limits.silence_seconds)
        association = _Newcomer(request, server).association()
        Line(association, self._limits, self._notices, self._serve)
        # The request was read already: what pynetdicom would have done after reading it.
        association.dul._recv_pdu.put(asked)
        association.dul.event_queue.put("Evt6")  # A-ASSOCIATE-RQ PDU received
        evt.trigger(association, evt.EVT_CONN_OPEN, {"address": request.address})
        association.start()
        return association


@dataclass(kw_only=True, eq=False)
class _Place:
    """Taken from the decision on until the association has ended."""

    title: str
    address: str
    association: Association | None = None

    @property
    def is_taken(self) -> bool:
        return self.association is None or self.association.is_alive()


class _Server(ThreadedAssociationServer):
    """pynetdicom's, for what an association asks of it; the gate does the listening."""

    request_queue_size = 128


class _Newcomer(RequestHandler):
    """Makes an association as pynetdicom does, without its server's loop."""

    def __init__(self, request: Request, server: _Server) -> None:
        self.request = request.connection
        self.client_address = request.address
        self.server = server

    def association(self) -> Association:
        return self._create_association()

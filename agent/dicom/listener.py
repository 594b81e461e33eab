"""C-STORE and C-ECHO in. Success means that the image survives power loss.

One of the three borders where errors are caught: whatever goes wrong becomes a DIMSE status
(PS3.4 B.2.3, PS3.7 annex C) and a log line, and the association goes on.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from pydicom.uid import EnhancedMRImageStorage, MRImageStorage
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.transport import ThreadedAssociationServer

from agent.dicom import front_door, headers, part10, syntaxes, wire
from agent.dicom.commitment_services import CommitmentServices
from agent.dicom.front_door import FrontDoor
from agent.dicom.headers import HeaderError, HeaderMismatch, InstanceHeader
from agent.dicom.receipts import Receipts
from agent.errors import AgentError
from storage.errors import StorageError, StoreFull
from storage.records import Instance, Priority, SopUid, StoredFile, StudyUid

_log = logging.getLogger(__name__)

ACCEPTED_CLASSES = (MRImageStorage, EnhancedMRImageStorage)
OUR_MANUFACTURER = "NeuroSieve"
OUR_UID_ROOT = "2.25."  # UIDs made from UUIDs (PS3.5 B.2), as all of ours are

SUCCESS = 0x0000
PROCESSING_FAILED = 0x0110  # our fault, not the image's: the sender may try again

_HIGH = 1  # Priority (0000,0700) of a C-STORE request: 0 medium, 1 high, 2 low
_STOP_POLL_SECONDS = 0.05


class ImageStore(Protocol):
    """What the listener needs of the file store."""

    def keep_image(
        self, study_uid: StudyUid, content_sha256: str, parts: Sequence[bytes | memoryview]
    ) -> tuple[StoredFile, bool]:
        """Durable when it returns; whether the file is new. Raises `StoreFull`."""


class OurOwnResult(AgentError):
    """A result of ours came back; analysing it would start a loop."""


class ClassNotSupported(AgentError):
    """The C-STORE request names a SOP class that is not accepted here."""


_STATUS_OF: dict[type[Exception], int] = {
    ClassNotSupported: 0x0122,  # SOP class not supported
    OurOwnResult: 0x0124,  # not authorised
    StoreFull: 0xA700,  # out of resources
    StorageError: 0xA700,
    HeaderMismatch: 0xA900,  # data set does not match SOP class
    HeaderError: 0xC000,  # cannot understand
}


class Listener:
    """The node's storage SCP."""

    def __init__(
        self,
        *,
        ae_title: str,
        host: str,
        port: int,
        store: ImageStore,
        receipts: Receipts,
        is_ours: Callable[[SopUid], bool],
        door: FrontDoor | None = None,
        commitment: CommitmentServices | None = None,
        maximum_associations: int = 20,
        idle_seconds: float = wire.IDLE_SECONDS,
    ) -> None:
        self._address = (host, port)
        self._store = store
        self._receipts = receipts
        self._is_ours = is_ours
        self._door = door or FrontDoor()
        self._commitment = commitment
        self._server: ThreadedAssociationServer | None = None
        self._open: dict[Association, set[StudyUid]] = {}
        self._lock = threading.Lock()
        self._ae = wire.entity(ae_title)
        self._ae.maximum_associations = maximum_associations
        self._ae.network_timeout = idle_seconds
        self._ae.add_supported_context(wire.VERIFICATION)
        for sop_class in ACCEPTED_CLASSES:
            self._ae.add_supported_context(sop_class, list(syntaxes.decodable()))
        if commitment is not None:
            commitment.offer(self._ae)

    def start(self) -> None:
        """Accept associations from now on. Raises `OSError` when the port is taken."""
        self._server = self._ae.start_server(
            self._address,
            block=False,
            evt_handlers=[
                (evt.EVT_CONN_OPEN, wire.send_at_once),
                (evt.EVT_CONN_OPEN, wire.acknowledge_at_once),
                (evt.EVT_PDU_RECV, wire.acknowledge_at_once),
                (evt.EVT_REQUESTED, self._on_request),
                (evt.EVT_C_STORE, self._on_store),
                (evt.EVT_RELEASED, self._on_end),
                (evt.EVT_ABORTED, self._on_end),
                *(self._commitment.handlers if self._commitment else ()),
            ],
        )
        _log.info("Listening", extra={"action": "listening", "port": self.port})

    def stop(self, *, grace_seconds: float = 5.0) -> None:
        """Accept nothing new, give open associations time to end, abort the rest."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.shutdown()
        end = time.monotonic() + grace_seconds
        while server.active_associations and time.monotonic() < end:
            time.sleep(_STOP_POLL_SECONDS)
        for association in server.active_associations:
            association.abort()
        if self._commitment is not None:
            self._commitment.stop()

    @property
    def is_open(self) -> bool:
        """Whether associations are accepted."""
        return self._server is not None

    @property
    def port(self) -> int:
        """The port in use, also when an ephemeral one (0) was asked for."""
        return self._address[1] if self._server is None else int(self._server.server_address[1])

    def open_studies(self) -> frozenset[StudyUid]:
        """Studies that may still grow: a live association has sent to them, or rows are due."""
        with self._lock:
            for association in [one for one in self._open if not one.is_alive()]:
                del self._open[association]
            sending = frozenset().union(*self._open.values())
        return sending | self._receipts.waiting_studies()

    def _on_request(self, event: evt.Event) -> None:
        """Reject whom the front door does not know, before anything else is read."""
        asked = event.assoc.requestor
        title = str(asked.primitive.calling_ae_title) if asked.primitive else ""
        try:
            reason = self._door.refusal(title, str(asked.address))
        except Exception:  # noqa: BLE001 - pynetdicom would go on and accept
            _log.exception("The front door failed", extra={"action": "front_door_failed"})
            reason = "Whether it may come in could not be found out."
        if reason is None:
            return
        _log.warning(
            "An association of %r from %s was rejected. %s",
            title,
            asked.address,
            reason,
            extra={"action": "association_rejected"},
        )
        event.assoc.acse.send_reject(
            front_door.PERMANENT,
            front_door.SERVICE_USER,
            front_door.CALLING_AE_TITLE_NOT_RECOGNISED,
        )
        event.assoc.kill()

    def _on_end(self, event: evt.Event) -> None:
        """The association's own thread comes here, so no image of it is on its way any more."""
        self._receipts.hurry()
        with self._lock:
            self._open.pop(event.assoc, None)

    def _on_store(self, event: evt.Event) -> int:
        """Answer one C-STORE request: the border between our errors and DIMSE statuses."""
        try:
            self._receive(event)
        except tuple(_STATUS_OF) as error:
            return _refused(event, _STATUS_OF[type(error)], error)
        except Exception as error:  # noqa: BLE001 - a border: the node goes on
            _log.exception("Receiving failed", extra={"action": "receive_failed"})
            return _refused(event, PROCESSING_FAILED, error)
        return SUCCESS

    def _receive(self, event: evt.Event) -> None:
        """Check, keep durably, hand the receipt over: in this order, or raise."""
        request = wire.store_request(event)
        encoded = request.DataSet.getbuffer() if request.DataSet is not None else memoryview(b"")
        syntax = str(event.context.transfer_syntax)
        header = self._checked_header(request, encoded, syntax)
        with self._lock:
            self._open.setdefault(event.assoc, set()).add(header.study_uid)
        source_ae = str(event.assoc.requestor.ae_title)
        digest = part10.content_sha256(encoded, syntax)
        file_header = part10.file_header(
            sop_class_uid=header.sop_class_uid,
            sop_uid=header.sop_uid,
            transfer_syntax_uid=syntax,
            source_ae=source_ae,
        )
        stored, _ = self._store.keep_image(header.study_uid, digest, [file_header, encoded])
        self._receipts.add(
            Instance(
                study_uid=header.study_uid,
                series_uid=header.series_uid,
                sop_uid=header.sop_uid,
                sop_class_uid=header.sop_class_uid,
                transfer_syntax_uid=syntax,
                source_ae=source_ae,
                priority=Priority.STAT if request.Priority == _HIGH else header.priority,
                path=stored.path,
                content_sha256=digest,
                received_at=datetime.now(UTC),
                computed=header.computed,
            )
        )

    def _checked_header(self, request: C_STORE, encoded: memoryview, syntax: str) -> InstanceHeader:
        sop_class_uid = str(request.AffectedSOPClassUID)
        if sop_class_uid not in ACCEPTED_CLASSES:
            raise ClassNotSupported(f"SOP class {sop_class_uid} is not accepted.")
        header = headers.read(encoded, syntax)
        headers.check_request(
            header, sop_class_uid=sop_class_uid, sop_uid=str(request.AffectedSOPInstanceUID)
        )
        if header.manufacturer == OUR_MANUFACTURER or self._is_known_result(header.sop_uid):
            raise OurOwnResult("A result of ours came back and was not taken as an image.")
        return header

    def _is_known_result(self, sop_uid: SopUid) -> bool:
        if not sop_uid.startswith(OUR_UID_ROOT):  # spares most scanners' images the query
            return False
        try:
            return self._is_ours(sop_uid)
        except StorageError:  # images are taken without the database too; the file is the truth
            return False


def _refused(event: evt.Event, status: int, error: Exception) -> int:
    _log.warning(
        "An image was refused with 0x%04X: %s",
        status,
        error,
        extra={
            "action": "image_refused",
            "status": f"0x{status:04X}",
            "source_ae": str(event.assoc.requestor.ae_title),
            "sop_uid": ascii(
                str(wire.store_request(event).AffectedSOPInstanceUID)
            ),  # unchecked: no new lines
        },
    )
    return status

"""C-STORE and C-ECHO in. Success means that the image survives power loss.

One of the three borders where errors are caught: whatever goes wrong becomes a DIMSE status
(PS3.4 B.2.3, PS3.7 annex C) and a log line, and the association goes on.
"""

import logging
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from pydicom.uid import EnhancedMRImageStorage, MRImageStorage
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType

from agent.dicom import headers, part10, syntaxes, wire
from agent.dicom.admission import Admission, Quota, TlsEntrance
from agent.dicom.commitment_services import CommitmentServices
from agent.dicom.front_door import FrontDoor
from agent.dicom.headers import HeaderError, HeaderMismatch, InstanceHeader
from agent.dicom.receipts import Receipts
from agent.dicom.store_messages import StoreRequest
from agent.errors import AgentError
from storage.enums import Priority
from storage.errors import StorageError, StoreFull
from storage.records import Instance, SopUid, StudyUid

_log = logging.getLogger(__name__)

ACCEPTED_CLASSES = (MRImageStorage, EnhancedMRImageStorage)
OUR_MANUFACTURER = "NeuroSieve"
OUR_UID_ROOT = "2.25."  # UIDs made from UUIDs (PS3.5 B.2), as all of ours are

SUCCESS = 0x0000
PROCESSING_FAILED = 0x0110  # our fault, not the image's: the sender may try again

# Between fsyncs the threads that receive need the interpreter for microseconds; at Python's 5 ms
# they would wait longer for a thread that writes rows than for the disk.
_SWITCH_SECONDS = 0.0005

_HIGH = 1  # Priority (0000,0700) of a C-STORE request: 0 medium, 1 high, 2 low


class ImageStore(Protocol):
    """What the listener needs of the file store."""

    def keep_image(
        self, study_uid: StudyUid, content_sha256: str, parts: Sequence[bytes | memoryview]
    ) -> tuple[str, bool]:
        """Its path, durable when it returns; whether it is new. Raises `StoreFull`."""


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
        on_rejected: Callable[[str, str], None] = lambda _title, _address: None,
        quota: Quota | None = None,
        tls: TlsEntrance | None = None,
        is_plain: bool = True,
        idle_seconds: float = wire.IDLE_SECONDS,
    ) -> None:
        self._address = (host, port)
        self._store = store
        self._receipts = receipts
        self._is_ours = is_ours
        self._door = door or FrontDoor()
        self._commitment = commitment
        self._on_rejected = on_rejected
        self._quota = quota or Quota()
        self._tls = tls
        self._is_plain = is_plain
        self._admission: Admission | None = None
        self._ports: list[int] = []
        self._open: dict[Association, set[StudyUid]] = {}
        self._lock = threading.Lock()
        self._ae = wire.entity(ae_title)
        self._ae.network_timeout = idle_seconds
        self._ae.add_supported_context(wire.VERIFICATION)
        for sop_class in ACCEPTED_CLASSES:
            self._ae.add_supported_context(sop_class, list(syntaxes.decodable()))
        if commitment is not None:
            commitment.offer(self._ae)

    def start(self) -> None:
        """Accept associations from now on. Raises `OSError` when the port is taken."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        handlers: list[EventHandlerType] = [
            (evt.EVT_CONN_OPEN, wire.send_at_once),
            (evt.EVT_CONN_OPEN, wire.acknowledge_at_once),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_RELEASED, self._on_end),
            (evt.EVT_ABORTED, self._on_end),
            *(self._commitment.handlers if self._commitment else ()),
        ]
        admission = Admission(
            self._ae,
            handlers,
            door=self._door,
            quota=self._quota,
            serve=self._on_request,
            on_rejected=self._on_rejected,
        )
        host, port = self._address
        plain_port = port if self._is_plain else None
        self._ports = admission.open(host, port=plain_port, tls_entrance=self._tls)
        self._admission = admission
        _log.info("Listening", extra={"action": "listening", "port": self.port})

    def stop(self, *, grace_seconds: float = 5.0) -> None:
        """Accept nothing new, give open associations time to end, abort the rest."""
        if self._admission is None:
            return
        admission, self._admission = self._admission, None
        admission.close(grace_seconds=grace_seconds)
        if self._commitment is not None:
            self._commitment.stop()

    @property
    def is_open(self) -> bool:
        """Whether associations are accepted."""
        return self._admission is not None

    @property
    def port(self) -> int:
        """The port in use, also when an ephemeral one (0) was asked for."""
        return self._ports[0] if self._ports else self._address[1]

    @property
    def tls_port(self) -> int | None:
        """The port for TLS in use, or None where there is none."""
        return self._ports[-1] if self._ports and self._tls is not None else None

    def open_studies(self) -> frozenset[StudyUid]:
        """Studies that may still grow: a live association has sent to them, or rows are due."""
        with self._lock:
            for association in [one for one in self._open if not one.is_alive()]:
                del self._open[association]
            sending = frozenset().union(*self._open.values())
        return sending | self._receipts.waiting_studies()

    def _on_end(self, event: evt.Event) -> None:
        """The association's own thread comes here, so no image of it is on its way any more."""
        self._receipts.hurry()
        with self._lock:
            self._open.pop(event.assoc, None)

    def _on_store(self, event: evt.Event) -> int:
        """Answer a C-STORE request that came by way of pynetdicom."""
        request = wire.store_request(event)
        encoded = request.DataSet.getbuffer() if request.DataSet is not None else memoryview(b"")
        return self._on_request(
            StoreRequest(
                association=event.assoc,
                sop_class_uid=str(request.AffectedSOPClassUID),
                sop_uid=str(request.AffectedSOPInstanceUID),
                priority=int(request.Priority or 0),
                transfer_syntax_uid=str(event.context.transfer_syntax),
                encoded=encoded,
            )
        )

    def _on_request(self, request: StoreRequest) -> int:
        """Answer one C-STORE request: the border between our errors and DIMSE statuses."""
        try:
            self._receive(request)
        except tuple(_STATUS_OF) as error:
            return _refused(request, _STATUS_OF[type(error)], error)
        except Exception as error:  # noqa: BLE001 - a border: the node goes on
            _log.exception("Receiving failed", extra={"action": "receive_failed"})
            return _refused(request, PROCESSING_FAILED, error)
        return SUCCESS

    def _receive(self, request: StoreRequest) -> None:
        """Check, keep durably, hand the receipt over: in this order, or raise."""
        syntax = request.transfer_syntax_uid
        header = self._checked_header(request)
        with self._lock:
            self._open.setdefault(request.association, set()).add(header.study_uid)
        source_ae = str(request.association.requestor.ae_title)
        digest = part10.content_sha256(request.encoded, syntax)
        file_header = part10.file_header(
            sop_class_uid=header.sop_class_uid,
            sop_uid=header.sop_uid,
            transfer_syntax_uid=syntax,
            source_ae=source_ae,
        )
        path, _ = self._store.keep_image(header.study_uid, digest, [file_header, request.encoded])
        self._receipts.add(
            Instance(
                study_uid=header.study_uid,
                series_uid=header.series_uid,
                sop_uid=header.sop_uid,
                sop_class_uid=header.sop_class_uid,
                transfer_syntax_uid=syntax,
                source_ae=source_ae,
                priority=Priority.STAT if request.priority == _HIGH else header.priority,
                path=path,
                content_sha256=digest,
                received_at=datetime.now(UTC),
                computed=header.computed,
            )
        )

    def _checked_header(self, request: StoreRequest) -> InstanceHeader:
        sop_class_uid = request.sop_class_uid
        if sop_class_uid not in ACCEPTED_CLASSES:
            raise ClassNotSupported(f"SOP class {sop_class_uid} is not accepted.")
        header = headers.read(request.encoded, request.transfer_syntax_uid)
        headers.check_request(header, sop_class_uid=sop_class_uid, sop_uid=request.sop_uid)
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


def _refused(request: StoreRequest, status: int, error: Exception) -> int:
    _log.warning(
        "An image was refused with 0x%04X: %s",
        status,
        error,
        extra={
            "action": "image_refused",
            "status": f"0x{status:04X}",
            "source_ae": str(request.association.requestor.ae_title),
            "sop_uid": ascii(request.sop_uid),  # unchecked: no new lines
        },
    )
    return status

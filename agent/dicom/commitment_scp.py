"""Storage commitment in (PS3.4 annex J): peers ask whether we keep what they sent to us.

The request is answered at once and its objects are looked up aside, so that no association waits
for the database. The report goes out on the same association while the peer holds that open, else
on one of ours to where the peer is configured to listen.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pynetdicom import build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_EVENT_REPORT

from agent.dicom import commitment_messages as messages
from agent.dicom import exchange, peer, wire
from agent.dicom.commitment_messages import Reference, Report, Request, UnusableMessage
from agent.dicom.peer import Destination
from agent.errors import PeerError
from storage.errors import StorageError
from storage.records import SopUid

_log = logging.getLogger(__name__)

# A peer that waits for the report holds its association open; one that does not ends it at once.
LINGER_SECONDS = 1.0
DATABASE_WAITS_SECONDS = (1.0, 5.0, 10.0)
WAITS_SECONDS = (2.0, 10.0, 60.0, 300.0)  # between the tries to report
AT_ONCE = 4
MAXIMUM_WAITING = 200  # requests, beyond which peers are told to come again

Examine = Callable[[Sequence[Reference]], Mapping[SopUid, int]]
AddressOf = Callable[[str, str], Destination | None]


@dataclass(frozen=True, kw_only=True)
class _Job:
    request: Request
    association: Association
    calling_ae: str
    address: str


class CommitmentProvider:
    """Answers requests for storage commitment.

    `examine` gives the failure reason of each object that is not kept here, or raises StorageError;
    `address_of` tells where the peer with an AE title, which called from an address, takes reports.
    """

    def __init__(
        self,
        *,
        ae_title: str,
        examine: Examine,
        address_of: AddressOf,
        linger_seconds: float = LINGER_SECONDS,
        waits_seconds: Sequence[float] = WAITS_SECONDS,
    ) -> None:
        self._ae_title = ae_title
        self._examine = examine
        self._address_of = address_of
        self._linger_seconds = linger_seconds
        self._waits_seconds = tuple(waits_seconds)
        self._stopping = threading.Event()
        self._room = threading.BoundedSemaphore(MAXIMUM_WAITING)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="commitment")

    def stop(self) -> None:
        """Give up what could not be reported yet: who asked will ask again."""
        self._stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def on_action(self, event: evt.Event) -> tuple[int, None]:
        """Take a request (EVT_N_ACTION): the border between our errors and DIMSE statuses."""
        if event.action_type != messages.REQUEST_COMMITMENT:
            return messages.NO_SUCH_ACTION, None
        if event.request.RequestedSOPInstanceUID != messages.INSTANCE:  # type: ignore[union-attr]
            return messages.NO_SUCH_INSTANCE, None
        try:
            request = messages.read_request(event)
        except Exception as error:  # noqa: BLE001 - a border: whatever was sent, the node goes on
            known = isinstance(error, UnusableMessage)
            _log.warning(
                "A request for storage commitment was refused: %s",
                error if known else "It cannot be read.",
                extra={"action": "commitment_refused"},
            )
            return messages.INVALID_ARGUMENT, None
        return self._accept(event.assoc, request), None

    def _accept(self, association: Association, request: Request) -> int:
        if self._stopping.is_set() or not self._room.acquire(blocking=False):
            return messages.OUT_OF_RESOURCES
        job = _Job(
            request=request,
            association=association,
            calling_ae=str(association.requestor.ae_title),
            address=str(association.requestor.address),
        )
        try:
            self._pool.submit(self._work, job).add_done_callback(lambda _: self._room.release())
        except RuntimeError:  # stopped in this moment
            self._room.release()
            return messages.OUT_OF_RESOURCES
        return messages.SUCCESS

    def _work(self, job: _Job) -> None:
        try:
            self._report(job)
        except Exception:  # noqa: BLE001 - a border: the next request is worked on
            _log.exception("Reporting failed", extra={"action": "commitment_unreported"})

    def _report(self, job: _Job) -> None:
        failed = self._examined(job.request.references)
        report = Report(transaction_uid=job.request.transaction_uid, failed=failed)
        why = self._report_there(job, report)
        for wait_seconds in (0.0, *self._waits_seconds):
            if not why or self._stopping.wait(wait_seconds):
                break
            why = self._report_anew(job, report)
        _log.log(
            logging.WARNING if why else logging.INFO,
            "Storage commitment for %r: %d objects, %d of them not kept. %s",
            job.calling_ae,
            len(job.request.references),
            len(failed),
            why or "Reported.",
            extra={"action": "commitment_unreported" if why else "commitment_reported"},
        )

    def _examined(self, references: Sequence[Reference]) -> Mapping[SopUid, int]:
        """What is not kept; nothing is vouched for while the database stays away."""
        for wait_seconds in DATABASE_WAITS_SECONDS:
            try:
                return self._examine(references)
            except StorageError as error:
                _log.warning(
                    "A request for storage commitment waits for the database: %s",
                    error,
                    extra={"action": "commitment_waits"},
                )
            if self._stopping.wait(wait_seconds):
                break
        return {one.sop_uid: messages.PROCESSING_FAILURE for one in references}

    def _report_there(self, job: _Job, report: Report) -> str:
        """Report on the peer's own association; an empty text, or why that did not work."""
        association = job.association
        end = time.monotonic() + self._linger_seconds
        while exchange.stands(association) and time.monotonic() < end:
            if self._stopping.wait(0.05):
                break
        if not exchange.stands(association):
            return "The peer has ended its association."
        with wire.answers_for_us(association):
            return _send(association, job.request, report)

    def _report_anew(self, job: _Job, report: Report) -> str:
        """Report on an association of ours; an empty text, or why that did not work."""
        destination = self._address_of(job.calling_ae, job.address)
        if destination is None:
            return "Where it takes reports is not configured: name it in [[peers]]."
        role = build_role(messages.SOP_CLASS, scp_role=True)
        try:
            with peer.association(
                destination, self._ae_title, messages.contexts(), [role]
            ) as association:
                return _send(association, job.request, report)
        except PeerError as error:
            return str(error)


def _send(association: Association, request: Request, report: Report) -> str:
    """Report on an open association; an empty text, or what the peer said instead of Success."""
    context = next(
        (one for one in association.accepted_contexts if one.abstract_syntax == messages.SOP_CLASS),
        None,
    )
    if context is None:
        return "The peer takes no reports on storage commitment."
    event_type, content = messages.report_content(report, request.references)
    event = N_EVENT_REPORT()
    event.MessageID = 1
    event.AffectedSOPClassUID = messages.SOP_CLASS
    event.AffectedSOPInstanceUID = messages.INSTANCE
    event.EventTypeID = event_type
    event.EventInformation = messages.encoded(content, context)
    with exchange.opened(association) as opened:
        answer = opened.ask(event, int(context.context_id or 0), seconds=wire.MESSAGE_SECONDS)
    if answer is None:
        return "The peer did not answer the report."
    if answer.Status != messages.SUCCESS:
        return f"The peer answered the report with status 0x{answer.Status:04X}."
    return ""

"""Storage commitment out (PS3.4 annex J): asking a peer whether it keeps what it was sent.

The request is an N-ACTION. The peer's report, an N-EVENT-REPORT, comes on the same association or
later on one that the peer opens to our listener; both go through `report_handler`.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pynetdicom import evt
from pynetdicom.dimse_primitives import N_ACTION

from agent.dicom import commitment_messages as messages
from agent.dicom import exchange, peer, wire
from agent.dicom.commitment_messages import Reference, Report, UnusableMessage
from agent.dicom.exchange import Exchange
from agent.dicom.peer import Destination
from agent.errors import NotOffered, PeerError
from storage.errors import NotFound

_log = logging.getLogger(__name__)

# Statuses that say that the peer will not do it for us (PS3.7 annex C); others may pass.
_NOT_FOR_US = frozenset({0x0112, 0x0118, 0x0119, 0x0122, 0x0123, 0x0124, 0x0211})


@contextmanager
def asked(
    destination: Destination,
    transaction_uid: str,
    references: Sequence[Reference],
    *,
    calling_ae: str,
    take: Callable[[Report], None],
) -> Iterator[Exchange]:
    """Ask for commitment; inside the block the peer has taken the request, and may report.

    `take` keeps a report that comes on this association, in a thread of its own. Raises
    `NotOffered` where the peer does not do this, for us or at all, and `PeerError`.
    """
    with peer.association(destination, calling_ae, messages.contexts()) as association:
        if not association.accepted_contexts:
            raise NotOffered(f"{destination.name} does not offer storage commitment.")
        association.bind(evt.EVT_N_EVENT_REPORT, report_handler(take))
        with exchange.opened(association) as opened:
            _check(destination, _answer(opened, transaction_uid, references))
            yield opened
        if exchange.wants_to_end(association):
            association.abort()  # a release of ours would cross the peer's


def _answer(opened: Exchange, transaction_uid: str, references: Sequence[Reference]) -> int | None:
    context = opened.association.accepted_contexts[0]
    request = N_ACTION()
    request.MessageID = 1
    request.RequestedSOPClassUID = messages.SOP_CLASS
    request.RequestedSOPInstanceUID = messages.INSTANCE
    request.ActionTypeID = messages.REQUEST_COMMITMENT
    content = messages.request_content(transaction_uid, references)
    request.ActionInformation = messages.encoded(content, context)
    answer = opened.ask(request, int(context.context_id or 0), seconds=wire.MESSAGE_SECONDS)
    return None if answer is None else answer.Status


def _check(destination: Destination, status: int | None) -> None:
    if status == messages.SUCCESS:
        return
    if status is None:
        raise PeerError(f"{destination.name} did not answer the request for storage commitment.")
    refused = NotOffered if status in _NOT_FOR_US else PeerError
    raise refused(
        f"{destination.name} answered the request for storage commitment with status "
        f"0x{status:04X}."
    )


def report_handler(take: Callable[[Report], None]) -> Callable[[evt.Event], tuple[int, None]]:
    """A handler of EVT_N_EVENT_REPORT that says Success only after `take` has kept the report.

    `take` raises NotFound for a transaction that is not ours.
    """

    def on_report(event: evt.Event) -> tuple[int, None]:
        if event.event_type not in (messages.ALL_COMMITTED, messages.FAILURES_EXIST):
            return messages.NO_SUCH_EVENT, None
        try:
            take(messages.read_report(event))
        except (UnusableMessage, NotFound) as error:
            return _not_taken(messages.INVALID_ARGUMENT, error)
        except Exception as error:  # noqa: BLE001 - a border: the peer may report again
            return _not_taken(messages.PROCESSING_FAILURE, error)
        return messages.SUCCESS, None

    return on_report


def _not_taken(status: int, error: Exception) -> tuple[int, None]:
    known = isinstance(error, UnusableMessage | NotFound)
    _log.warning(
        "A report on storage commitment was answered with 0x%04X: %s",
        status,
        error if known else type(error).__name__,
        extra={"action": "commitment_report_refused", "status": f"0x{status:04X}"},
    )
    return status, None

"""What is said in storage commitment (PS3.4 annex J): UIDs, statuses, requests and reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import cast

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context, evt
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.presentation import PresentationContext

from agent.errors import AgentError
from storage.records import SopUid

SOP_CLASS = UID("1.2.840.10008.1.20.1")  # Storage Commitment Push Model
INSTANCE = UID("1.2.840.10008.1.20.1.1")  # its one instance, known to all
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)

REQUEST_COMMITMENT = 1  # action type, PS3.4 J.3.2.1
ALL_COMMITTED, FAILURES_EXIST = 1, 2  # event types, PS3.4 J.3.3.1

# Statuses (PS3.7 annex C); some are failure reasons of single objects too (PS3.3 C.14.1.1).
SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NO_SUCH_INSTANCE = 0x0112
NO_SUCH_EVENT = 0x0113
INVALID_ARGUMENT = 0x0115
CLASS_CONFLICT = 0x0119
NO_SUCH_ACTION = 0x0123
OUT_OF_RESOURCES = 0x0213

MAXIMUM_BYTES = 4_000_000  # of a request or report: some 20,000 objects
_UID_LENGTH = 64


class UnusableMessage(AgentError):
    """A request or a report is not what PS3.4 annex J describes."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An object that commitment is asked for."""

    sop_class_uid: str
    sop_uid: SopUid


@dataclass(frozen=True, kw_only=True)
class Request:
    """A peer's wish to know whether objects will be kept."""

    transaction_uid: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is kept, and what not with the reason."""

    transaction_uid: str
    committed: tuple[SopUid, ...] = ()
    failed: Mapping[SopUid, int] = field(default_factory=dict)


def contexts() -> list[PresentationContext]:
    """What is proposed to a peer, in either role."""
    return [build_context(SOP_CLASS, list(SYNTAXES))]


def accept(entity: AE) -> None:
    """Accept the presentation context from peers, as users or as providers."""
    entity.add_supported_context(SOP_CLASS, list(SYNTAXES), scu_role=True, scp_role=True)


def read_request(event: evt.Event) -> Request:
    """What an N-ACTION asks. Raises `UnusableMessage`."""
    content = _content(cast(N_ACTION, event.request).ActionInformation, event)
    references = tuple(
        Reference(sop_class_uid=str(item.get("ReferencedSOPClassUID", "")), sop_uid=_named(item))
        for item in _items(content, "ReferencedSOPSequence")
    )
    if not references:
        raise UnusableMessage("It names no object.")
    return Request(transaction_uid=_transaction(content), references=references)


def read_report(event: evt.Event) -> Report:
    """What an N-EVENT-REPORT says. Raises `UnusableMessage`."""
    content = _content(cast(N_EVENT_REPORT, event.request).EventInformation, event)
    failed = {}
    for item in _items(content, "FailedSOPSequence"):
        reason = item.get("FailureReason")
        failed[_named(item)] = reason if isinstance(reason, int) else PROCESSING_FAILURE
    named = (_named(item) for item in _items(content, "ReferencedSOPSequence"))
    return Report(
        transaction_uid=_transaction(content),
        committed=tuple(uid for uid in named if uid not in failed),
        failed=failed,
    )


def request_content(transaction_uid: str, references: Sequence[Reference]) -> Dataset:
    """The data set of an N-ACTION (PS3.4 table J.3-1)."""
    content = Dataset()
    content.TransactionUID = transaction_uid
    content.ReferencedSOPSequence = [_item(one) for one in references]
    return content


def report_content(report: Report, references: Sequence[Reference]) -> tuple[int, Dataset]:
    """Event type and data set of an N-EVENT-REPORT (PS3.4 table J.3-2)."""
    content = Dataset()
    content.TransactionUID = report.transaction_uid
    kept = [_item(one) for one in references if one.sop_uid not in report.failed]
    failed = [
        _item(one, report.failed[one.sop_uid]) for one in references if one.sop_uid in report.failed
    ]
    if kept:
        content.ReferencedSOPSequence = kept
    if failed:
        content.FailedSOPSequence = failed
    return (FAILURES_EXIST if failed else ALL_COMMITTED), content


def encoded(content: Dataset, context: PresentationContext) -> BytesIO:
    """A data set as the accepted context wants it."""
    syntax = context.transfer_syntax[0]
    done = encode(content, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
    assert done is not None  # our own data set
    return BytesIO(done)


def _content(carried: BytesIO | None, event: evt.Event) -> Dataset:
    if carried is None or len(carried.getbuffer()) > MAXIMUM_BYTES:
        raise UnusableMessage("It holds no data set, or one of more than 4 MB.")
    is_request = isinstance(event.request, N_ACTION)
    return event.action_information if is_request else event.event_information


def _transaction(content: Dataset) -> str:
    found = str(content.get("TransactionUID", ""))
    if len(found) > _UID_LENGTH or not found.replace(".", "").isdecimal():
        raise UnusableMessage("It names no Transaction UID.")
    return found


def _items(content: Dataset, keyword: str) -> Sequence[Dataset]:
    found = content.get(keyword)
    return found if found is not None else ()


def _named(item: Dataset) -> SopUid:
    return SopUid(str(item.get("ReferencedSOPInstanceUID", "")))


def _item(reference: Reference, failure_reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_uid
    if failure_reason is not None:
        item.FailureReason = failure_reason
    return item

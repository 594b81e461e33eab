"""What DICOMweb answers say of objects: to STOW-RS (PS3.18 10.5.3, annex I.2)."""

import json
from collections.abc import Iterator, Sequence

from agent.dicom.sender import SendItem, SendOutcome

# The keys of the DICOM JSON model (PS3.18 F.2).
_REFERENCED_SOP_INSTANCE_UID = "00081155"
_WARNING_REASON = "00081196"
_FAILURE_REASON = "00081197"
_FAILED_SOP_SEQUENCE = "00081198"
_REFERENCED_SOP_SEQUENCE = "00081199"


def outcomes(body: bytes, *, status: int, files: Sequence[SendItem]) -> list[SendOutcome]:
    """One outcome a file; a file that the answer does not name counts as not stored.

    The body is read whatever the HTTP status: peers answer 200, 202, 400 or 409 when they took
    some objects and refused others.
    """
    answer = _parsed(body)
    stored = dict(_named(answer, _REFERENCED_SOP_SEQUENCE))
    failed = dict(_named(answer, _FAILED_SOP_SEQUENCE))

    def outcome(file: SendItem) -> SendOutcome:
        if file.sop_uid in failed:
            return _refused(file, failed[file.sop_uid], status)
        if file.sop_uid in stored:
            return _taken(file, stored[file.sop_uid], status)
        return _outcome(file, f"The peer did not say that it stored this (HTTP {status}).", status)

    return [outcome(file) for file in files]


def _taken(file: SendItem, item: object, status: int) -> SendOutcome:
    warning = _reason(item, _WARNING_REASON)
    if warning is None:
        return _outcome(file, "Stored.", status, stored=True)
    return _outcome(file, f"Stored with warning 0x{warning:04X}.", warning, stored=True)


def _refused(file: SendItem, item: object, status: int) -> SendOutcome:
    reason = _reason(item, _FAILURE_REASON)
    if reason is None:
        return _outcome(file, f"The peer refused it without a reason (HTTP {status}).", status)
    return _outcome(file, f"The peer refused it with reason 0x{reason:04X}.", reason)


def _outcome(file: SendItem, message: str, status: int, *, stored: bool = False) -> SendOutcome:
    return SendOutcome(sop_uid=file.sop_uid, stored=stored, status=status, message=message)


def _parsed(body: bytes) -> object:
    try:
        answer: object = json.loads(body)
    except ValueError:  # a page of a proxy, or nothing
        return None
    # One data set; some peers wrap it in a list, as the answer to a query is.
    return answer[0] if isinstance(answer, list) and answer else answer


def _named(answer: object, sequence: str) -> Iterator[tuple[str, object]]:
    for item in _values(answer, sequence):
        for uid in _values(item, _REFERENCED_SOP_INSTANCE_UID):
            yield str(uid), item


def _reason(item: object, tag: str) -> int | None:
    return next((one for one in _values(item, tag) if isinstance(one, int)), None)


def _values(item: object, tag: str) -> list[object]:
    """The values of an attribute; empty where there is none, or where the peer wrote nonsense."""
    attribute = item.get(tag) if isinstance(item, dict) else None
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    return values if isinstance(values, list) else []

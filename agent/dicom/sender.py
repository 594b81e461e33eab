"""C-STORE and C-ECHO out, and what a peer would accept.

What is proposed to the peer are exactly the (SOP class, transfer syntax) pairs of the files, and
each file goes out as it lies on disk.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from agent.dicom import peer, wire
from agent.dicom.peer import Destination, status_text
from agent.errors import PeerError
from storage.records import SopUid

_MAXIMUM_CONTEXTS = 128  # context ids are odd and fit in one byte (PS3.8 9.3.2.2)
_NO_ANSWER = "The peer did not answer."
_MAXIMUM_MESSAGE_ID = 0xFFFF


_MEDIUM, _HIGH = 0, 1  # Priority (0000,0700) of a C-STORE request


@dataclass(frozen=True, kw_only=True)
class SendItem:
    """A DICOM file (PS3.10) and what its header says, so that it need not be opened to plan."""

    path: Path
    sop_uid: SopUid
    sop_class_uid: str
    transfer_syntax_uid: str
    urgent: bool = False

    @property
    def context(self) -> tuple[str, str]:
        """The presentation context that the file needs."""
        return self.sop_class_uid, self.transfer_syntax_uid


@dataclass(frozen=True, kw_only=True)
class SendOutcome:
    """What became of one file; `status` is None when no answer came.

    It is the DIMSE status, or for STOW-RS the FailureReason or WarningReason, and the HTTP status
    where the answer gave no reason.
    """

    sop_uid: SopUid
    stored: bool
    status: int | None
    message: str


@dataclass(frozen=True, kw_only=True)
class ClassAnswer:
    """Whether the peer takes objects of a SOP class in Explicit VR Little Endian."""

    sop_class_uid: str
    accepted: bool
    detail: str


def echo(destination: Destination, *, calling_ae: str) -> None:
    """Ask whether the peer is there (C-ECHO); `PeerError` says what went wrong."""
    contexts = [build_context(wire.VERIFICATION)]
    with peer.association(destination, calling_ae, contexts) as association:
        if not association.accepted_contexts:
            raise PeerError(f"{destination.name} does not accept C-ECHO.")
        answer = association.send_c_echo()
    if answer.get("Status") != 0:
        raise PeerError(f"{destination.name} answered C-ECHO with {status_text(answer)}.")


def accepted_classes(
    destination: Destination, syntaxes: Mapping[str, str], *, calling_ae: str
) -> list[ClassAnswer]:
    """Ask in one association which SOP classes the peer takes; nothing is sent.

    `syntaxes` holds the transfer syntax to ask for by SOP class, at most 128. One answer a class,
    in their order. `PeerError` as of `send`.
    """
    contexts = [build_context(uid, syntax) for uid, syntax in syntaxes.items()]
    with peer.association(destination, calling_ae, contexts) as association:
        answered = {
            str(context.abstract_syntax): context
            for context in (*association.accepted_contexts, *association.rejected_contexts)
        }
    return [_class_answer(uid, answered.get(uid)) for uid in syntaxes]


def _class_answer(sop_class_uid: str, context: PresentationContext | None) -> ClassAnswer:
    """PS3.8 9.3.3.2: result 0 is acceptance, each other one names its reason."""
    return ClassAnswer(
        sop_class_uid=sop_class_uid,
        accepted=context is not None and context.result == 0,
        detail=context.status if context else "not answered",
    )


def send(
    files: Sequence[SendItem], destination: Destination, *, calling_ae: str
) -> list[SendOutcome]:
    """Store the files at the destination; one outcome a file, in the order of `files`.

    One association, more only when over 128 contexts are needed. `PeerError` when an association
    cannot be made; when it is lost on the way, the files not yet answered count as not stored.
    """
    outcomes: dict[Path, SendOutcome] = {}
    for contexts in _groups(sorted({file.context for file in files})):
        group = [file for file in files if file.context in contexts]
        for file, outcome in zip(group, _send_group(group, destination, calling_ae), strict=True):
            outcomes[file.path] = outcome
    return [outcomes[file.path] for file in files]


def _groups(contexts: Sequence[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    rest = iter(contexts)
    while group := list(islice(rest, _MAXIMUM_CONTEXTS)):
        yield group


def _send_group(
    files: Sequence[SendItem], destination: Destination, calling_ae: str
) -> list[SendOutcome]:
    """Send files that fit into one association."""
    wanted = sorted({file.context for file in files})
    contexts = [build_context(sop_class, syntax) for sop_class, syntax in wanted]
    outcomes: list[SendOutcome] = []
    with peer.association(destination, calling_ae, contexts) as association:
        for number, file in enumerate(files):
            outcome = _send_file(association, file, number % _MAXIMUM_MESSAGE_ID + 1)
            outcomes.append(outcome)
            if outcome.message == _NO_ANSWER:
                # A late answer could be taken for that of the next file.
                association.abort()
    return outcomes


def _send_file(association: Association, file: SendItem, message_id: int) -> SendOutcome:
    accepted = {
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in association.accepted_contexts
    }
    if file.context not in accepted:
        names = (UID(uid).name for uid in file.context)
        return _not_stored(file, None, "The peer does not accept {} in {}.".format(*names))
    if not association.is_established:
        return _not_stored(file, None, "The association was lost before this file was stored.")
    priority = _HIGH if file.urgent else _MEDIUM
    answer = association.send_c_store(file.path, msg_id=message_id, priority=priority)
    return _outcome(file, answer)


def _outcome(file: SendItem, answer: Dataset) -> SendOutcome:
    """PS3.4 B.2.3: a warning (Bxxx) means stored, though not unchanged."""
    status = answer.get("Status")
    if status is None:
        return _not_stored(file, None, _NO_ANSWER)
    if status == 0:
        return SendOutcome(sop_uid=file.sop_uid, stored=True, status=status, message="Stored.")
    text = status_text(answer)
    if status >> 12 == 0xB:
        return SendOutcome(
            sop_uid=file.sop_uid, stored=True, status=status, message=f"Stored with {text}."
        )
    return _not_stored(file, status, f"The peer answered {text}.")


def _not_stored(file: SendItem, status: int | None, message: str) -> SendOutcome:
    return SendOutcome(sop_uid=file.sop_uid, stored=False, status=status, message=message)

"""An association of ours with a peer: who the peer is, how it is opened and how it ends."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation as Role
from pynetdicom.presentation import PresentationContext

from agent.dicom import wire
from agent.errors import PeerError


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A DICOM node that we call; `name` is what people call it."""

    name: str
    ae_title: str
    host: str
    port: int


@contextmanager
def association(
    destination: Destination,
    calling_ae: str,
    contexts: list[PresentationContext],
    roles: Sequence[Role] = (),
) -> Iterator[Association]:
    """An association that is released at the end, if it still stands.

    Without `roles` we are the user of every service (PS3.7 D.3.3.4).
    """
    entity = wire.entity(calling_ae)
    opened = _associate(entity, destination, contexts, roles)
    try:
        with wire.answers_for_us(opened):
            try:
                yield opened
            finally:
                opened.release()
    finally:
        entity.close_dropped_socket(opened)


def _associate(
    entity: wire.Entity,
    destination: Destination,
    contexts: list[PresentationContext],
    roles: Sequence[Role],
) -> Association:
    association = entity.associate(
        destination.host,
        destination.port,
        contexts=contexts,
        ext_neg=list(roles),
        ae_title=destination.ae_title,
        max_pdu=0,
        evt_handlers=[(evt.EVT_CONN_OPEN, wire.send_at_once)],
    )
    # When every context was rejected pynetdicom aborts although the peer took the association:
    # that is no fault of the line, and each file is told so.
    if association.is_established or association.rejected_contexts:
        return association
    entity.close_dropped_socket(association)
    where = f"{destination.name} ({destination.ae_title} at {destination.host}:{destination.port})"
    if association.is_rejected:
        raise PeerError(
            f"{where} refused the association. Does it know the AE title {entity.ae_title}?"
        )
    raise PeerError(f"{where} cannot be reached or broke off. Is it running?")


# PS3.7 annex C, and PS3.4 B.2.3 for C-STORE, of which the last digits are the peer's own.
_MEANINGS = {
    0x0110: "processing failed",
    0x0111: "it holds this object already",
    0x0117: "the UID is not valid",
    0x0122: "it does not take this SOP class",
    0x0124: "we are not authorised",
    0x0211: "it does not know this operation",
    0x0212: "it did not expect this message",
}
_CLASSES = {
    0xA7: "out of resources",
    0xA9: "the object does not match its class",
    0xFE: "cancelled",
}


def status_text(answer: Dataset) -> str:
    """How a peer answered, in our words: its own (Error Comment) may name the patient."""
    if "Status" not in answer:
        return "nothing"
    status = answer.Status
    known = "it cannot understand the object" if status >> 12 == 0xC else _CLASSES.get(status >> 8)
    meaning = _MEANINGS.get(status, known)
    return f"status 0x{status:04X}" + (f" ({meaning})" if meaning else "")

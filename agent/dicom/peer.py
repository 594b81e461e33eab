"""An association of ours with a peer: who the peer is, how it is opened and how it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from agent.dicom import wire
from agent.dicom.tls import Identity
from agent.errors import PeerError


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A DICOM node that we call; `name` is what people call it."""

    name: str
    ae_title: str
    host: str
    port: int
    identity: Identity | None = field(default=None, repr=False, compare=False)  # speaks TLS


@contextmanager
def association(
    destination: Destination, calling_ae: str, contexts: list[PresentationContext]
) -> Iterator[Association]:
    """An association that is released at the end, if it still stands."""
    entity = wire.entity(calling_ae)
    opened = _associate(entity, destination, contexts)
    try:
        with wire.answers_for_us(opened):
            try:
                yield opened
            finally:
                opened.release()
    finally:
        entity.close_dropped_socket(opened)


def _associate(
    entity: wire.Entity, destination: Destination, contexts: list[PresentationContext]
) -> Association:
    identity = destination.identity
    tls_args = (identity.context(), destination.host) if identity is not None else None
    association = entity.associate(
        destination.host,
        destination.port,
        contexts=contexts,
        ae_title=destination.ae_title,
        max_pdu=wire.MAXIMUM_PDU_BYTES,
        tls_args=tls_args,
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
    if identity is not None:
        raise PeerError(
            f"{where} cannot be reached by TLS or broke off. Is it running, and does [tls] ca_file"
            " vouch for its certificate, which has to name this host?"
        )
    raise PeerError(f"{where} cannot be reached or broke off. Is it running?")


def status_text(answer: Dataset) -> str:
    """How a peer answered, in words."""
    if "Status" not in answer:
        return "nothing"
    comment = str(answer.get("ErrorComment", "")).strip()
    return f"status 0x{answer.Status:04X}" + (f" ({comment})" if comment else "")

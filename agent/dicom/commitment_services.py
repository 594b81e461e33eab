"""Storage commitment at our listener: requests of those who send to us, reports of destinations."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pynetdicom import AE, evt

from agent.dicom import commitment, tls, wire
from agent.dicom import commitment_messages as messages
from agent.dicom.commitment_messages import Report
from agent.dicom.commitment_scp import CommitmentProvider
from agent.dicom.front_door import FrontDoor

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CommitmentServices:
    """Both sides of storage commitment that arrive at the listener.

    `take` keeps a report on what we asked for; it raises NotFound for a transaction not ours.
    Whom the front door knows and `senders` does not is a destination: it may report and no more.
    """

    provider: CommitmentProvider
    take: Callable[[Report], None]
    senders: FrontDoor

    def offer(self, entity: AE) -> None:
        """Accept the presentation context."""
        messages.accept(entity)

    @property
    def handlers(self) -> tuple[tuple[evt.EventType, Callable[[evt.Event], Any]], ...]:
        """What the listener binds."""
        return (
            (evt.EVT_REQUESTED, self._on_request),
            (evt.EVT_N_ACTION, self.provider.on_action),
            (evt.EVT_N_EVENT_REPORT, commitment.report_handler(self.take)),
        )

    def _on_request(self, event: evt.Event) -> None:
        """Offer nothing but this service to a destination that is no sender."""
        if not self._is_sender(event):
            event.assoc.acceptor.supported_contexts = [
                one
                for one in event.assoc.acceptor.supported_contexts
                if one.abstract_syntax in (messages.SOP_CLASS, wire.VERIFICATION)
            ]

    def _is_sender(self, event: evt.Event) -> bool:
        asked, connection = event.assoc.requestor, event.assoc.dul.socket
        title = str(asked.primitive.calling_ae_title) if asked.primitive else ""
        try:
            names = tls.names(connection.socket) if connection else frozenset()
            return self.senders.refusal(title, str(asked.address), names) is None
        except Exception:  # noqa: BLE001 - pynetdicom would go on and offer everything
            _log.exception("The front door failed", extra={"action": "front_door_failed"})
            return False

    def stop(self) -> None:
        """Give up what could not be reported yet."""
        self.provider.stop()

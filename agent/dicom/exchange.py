"""Messages that cross on one association: requests of ours while the peer sends requests too.

pynetdicom's `send_n_action` and `send_n_event_report` take whatever message comes first for the
answer. In storage commitment the peer may report before it has answered (PS3.4 J.3), and a sender
that has asked us may store its next image while we report to it. To be used inside
`wire.answers_for_us`.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT, DIMSEPrimitive
from pynetdicom.pdu_primitives import A_RELEASE

_Request = TypeVar("_Request", N_ACTION, N_EVENT_REPORT)

_LOOK_SECONDS = 0.005


class Exchange:
    """An open association on which both sides ask."""

    def __init__(self, association: Association) -> None:
        self.association = association
        self._serve_request = association._serve_request
        self._serving = threading.Lock()

    def serve_request(self, message: DIMSEPrimitive, context_id: int) -> None:
        """Answer a request of the peer, in this thread or in one that pynetdicom made for it."""
        with self._serving:
            self._serve_request(message, context_id)  # type: ignore[arg-type]
            # It takes the thread that it runs in for the reactor's and lets that go on, where
            # `release` would then wait for the reactor to pause, for ever.
            self.association._is_paused = True

    def ask(self, request: _Request, context_id: int, *, seconds: float) -> _Request | None:
        """Send a request and return its answer; None when none came in time or the peer is gone."""
        self.association.dimse.send_msg(request, context_id)
        for message in self._messages(time.monotonic() + seconds):
            if isinstance(message, type(request)) and _answers(message, request):
                return message
        return None

    def wait(self, until: Callable[[], bool], *, seconds: float) -> None:
        """Serve the peer's requests until that holds, time is out or the peer wants to end."""
        for _ in self._messages(time.monotonic() + seconds):
            if until():
                break
        with self._serving:  # an answer that is on its way goes out first
            return

    def _messages(self, end: float) -> Iterator[DIMSEPrimitive | None]:
        """What the peer sends, requests served already, or None now and then."""
        while time.monotonic() < end:
            context_id, message = self.association.dimse.get_msg(block=False)
            if message is None:
                if not stands(self.association):
                    return
                time.sleep(_LOOK_SECONDS)
            elif message.MessageIDBeingRespondedTo is None:
                self.serve_request(message, int(context_id or 0))
            yield message


@contextmanager
def opened(association: Association) -> Iterator[Exchange]:
    """An exchange on the association, which must stand inside `wire.answers_for_us`."""
    exchange = Exchange(association)
    association._serve_request = exchange.serve_request  # type: ignore[method-assign,assignment]
    try:
        yield exchange
    finally:
        del association._serve_request


def stands(association: Association) -> bool:
    """Whether the association is open and the peer has not asked to end it."""
    return (
        association.is_established
        and association.dul.is_alive()
        and not association.acse.is_aborted()
        and not wants_to_end(association)
    )


def wants_to_end(association: Association) -> bool:
    """Whether the peer asks for the release of the association, which is not taken up here."""
    return isinstance(association.dul.peek_next_pdu(), A_RELEASE)


def _answers(message: N_ACTION | N_EVENT_REPORT, request: N_ACTION | N_EVENT_REPORT) -> bool:
    return message.MessageIDBeingRespondedTo == request.MessageID and message.is_valid_response

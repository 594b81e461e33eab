"""A DIMSE request and its answer where the peer may send requests of its own meanwhile.

pynetdicom's `send_n_action` and `send_n_event_report` take whatever message comes first for the
answer. In storage commitment the peer may report before it has answered (PS3.4 J.3), and a sender
that has asked us may store its next image while we report to it: such requests are served here.
To be used inside `wire.answers_for_us`.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.pdu_primitives import A_RELEASE

_Request = TypeVar("_Request", N_ACTION, N_EVENT_REPORT)

_LOOK_SECONDS = 0.005


def ask(
    association: Association, request: _Request, context_id: int, *, seconds: float
) -> _Request | None:
    """Send a request and return its answer; None when none came in time or the peer has gone."""
    association.dimse.send_msg(request, context_id)
    answers: list[_Request] = []

    def answered() -> bool:
        return bool(answers)

    def keep(message: object) -> bool:
        if isinstance(message, type(request)) and _answers(message, request):
            answers.append(message)
            return True
        return False

    serve(association, until=answered, seconds=seconds, first=keep)
    return answers[0] if answers else None


def serve(
    association: Association,
    *,
    until: Callable[[], bool],
    seconds: float,
    first: Callable[[object], bool] = lambda _: False,
) -> None:
    """Serve the peer's requests until that holds, time is out or the peer wants to end.

    `first` sees each message before it is served, and takes it by answering True.
    """
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        context_id, message = association.dimse.get_msg(block=False)
        if message is None:
            if not stands(association):
                return
            time.sleep(_LOOK_SECONDS)
        elif not first(message):
            association._serve_request(message, int(context_id or 0))


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

"""The short way of an image: C-STORE requests put together and answered as they come in.

pynetdicom hands each message from one thread to another, decodes and encodes it by way of data
sets, and takes longer for that than the disk does for the image. Here a C-STORE request that is as
it should be stays in the thread that reads it; its data set is one buffer from the connection to
the file. Every other message, and every odd request, goes to pynetdicom as before.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pynetdicom.association import Association
from pynetdicom.pdu_primitives import P_DATA

from agent.dicom import pdus, store_messages
from agent.dicom.pdus import Fault, Fragment
from agent.dicom.store_messages import StoreCommand, StoreRequest

Serve = Callable[[StoreRequest], int]


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """A request whose data set is on its way."""

    command: StoreCommand
    context_id: int
    transfer_syntax_uid: str


class StorePath:
    """The messages that come in by one association, fragment by fragment (PS3.7 annex F).

    `serve` gives the status of a C-STORE request, `answer` sends PDUs, `pass_on` takes the
    fragments of all other messages.
    """

    def __init__(
        self,
        association: Association,
        *,
        serve: Serve,
        answer: Callable[[bytes], None],
        pass_on: Callable[[P_DATA], None],
    ) -> None:
        self._association = association
        self._serve = serve
        self._answer = answer
        self._pass_on = pass_on
        self._command = bytearray()
        self._begun: _Begun | None = None
        self._encoded = bytearray()

    def take(self, fragment: Fragment) -> None:
        """Take the next fragment; a request that is whole with it is served and answered.

        Raises `Fault` when it does not belong there.
        """
        if fragment.is_command:
            self._take_command(fragment)
        elif self._begun is None:
            self._pass(fragment.context_id, fragment.control, bytes(fragment.content))
        else:
            self._encoded += fragment.content
            if fragment.is_last:
                self._finish(self._begun)

    def forget(self) -> None:
        """Let go of a message that will never be whole."""
        self._command, self._encoded, self._begun = bytearray(), bytearray(), None

    def _take_command(self, fragment: Fragment) -> None:
        if self._begun is not None:
            raise Fault("A command came before the data set of the one before it was whole.")
        self._command += fragment.content
        if not fragment.is_last:
            return
        command, self._command = bytes(self._command), bytearray()
        self._begun = self._readable(command, fragment.context_id)
        if self._begun is None:
            self._pass(fragment.context_id, fragment.control, command)

    def _readable(self, command: bytes, context_id: int) -> _Begun | None:
        request = store_messages.read_request(command)
        context = self._association._accepted_cx.get(context_id)
        if request is None or context is None or context.abstract_syntax != request.sop_class_uid:
            return None
        return _Begun(
            command=request,
            context_id=context_id,
            transfer_syntax_uid=str(context.transfer_syntax[0]),
        )

    def _finish(self, begun: _Begun) -> None:
        encoded, self._encoded, self._begun = self._encoded, bytearray(), None
        status = self._serve(
            StoreRequest(
                association=self._association,
                sop_class_uid=begun.command.sop_class_uid,
                sop_uid=begun.command.sop_uid,
                priority=begun.command.priority,
                transfer_syntax_uid=begun.transfer_syntax_uid,
                encoded=memoryview(encoded),
            )
        )
        response = store_messages.response(begun.command, status)
        maximum = self._association.dimse.maximum_pdu_size
        self._answer(pdus.command(begun.context_id, response, maximum))

    def _pass(self, context_id: int, control: int, content: bytes) -> None:
        primitive = P_DATA()
        primitive.presentation_data_value_list.append((context_id, bytes([control]) + content))
        self._pass_on(primitive)

"""A PACS that stores, forgets, commits, shows or is silent, as a test wants."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from pydicom.dataset import Dataset
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, build_role, evt
from pynetdicom.association import Association
from pynetdicom.transport import ThreadedAssociationServer

from agent.dicom import commitment_messages as messages
from agent.dicom import query, wire
from agent.dicom.peer import Destination

HOST = "127.0.0.1"

# When the report comes: within the request, after it, on a new association, on `report` or never.
Reports = Literal["at once", "same", "new", "later", "never", "not offered", "refused"]


@dataclass(kw_only=True)
class ProvingPacs:
    """A running PACS. What it holds may be changed at any time."""

    reports: Reports = "same"
    forgets: bool = False  # answers Success and keeps nothing
    finds: bool = True
    node_port: int = 0  # where reports on a new association go
    held: dict[str, str] = field(default_factory=dict)  # class by instance
    stored: int = 0
    requests: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    answers: list[int | None] = field(default_factory=list)  # to its reports
    port: int = 0
    _server: ThreadedAssociationServer | None = None
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def destination(self) -> Destination:
        return Destination(name="pacs", ae_title="PACS", host=HOST, port=self.port)

    def start(self) -> None:
        """Listen, on the same port as before."""
        entity = wire.entity("PACS")
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)
        if self.reports != "not offered":
            entity.add_supported_context(messages.SOP_CLASS, list(messages.SYNTAXES))
        if self.finds:
            entity.add_supported_context(query.FIND)
        self._server = entity.start_server(
            (HOST, self.port),
            block=False,
            evt_handlers=[
                (evt.EVT_CONN_OPEN, wire.send_at_once),
                (evt.EVT_C_STORE, self._on_store),
                (evt.EVT_C_FIND, self._on_find),
                (evt.EVT_N_ACTION, self._on_action),
            ],
        )
        self.port = int(self._server.server_address[1])

    def stop(self) -> None:
        """Be away."""
        for thread in self._threads:
            thread.join(20)
        if self._server is not None:
            open_ones = self._server.active_associations
            self._server.shutdown()
            for association in open_ones:
                association.abort()
            wire.wait_for_end(open_ones)
            self._server = None

    def report(self) -> None:
        """Report on every request so far, each on an association of its own."""
        for transaction_uid, references in list(self.requests):
            self._report_anew(transaction_uid, references)

    def _on_store(self, event: evt.Event) -> int:
        request = wire.store_request(event)
        self.stored += 1
        if not self.forgets:
            uid = str(request.AffectedSOPInstanceUID)
            self.held[uid] = str(request.AffectedSOPClassUID)
        return 0x0000

    def _on_find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        """Everything it holds, whatever the series."""
        for uid in self.held:
            found = Dataset()
            found.QueryRetrieveLevel = "IMAGE"
            found.SOPInstanceUID = uid
            yield 0xFF00, found

    def _on_action(self, event: evt.Event) -> tuple[int, None]:
        if self.reports == "refused":
            return 0x0124, None
        request = messages.read_request(event)
        asked = [(one.sop_class_uid, str(one.sop_uid)) for one in request.references]
        self.requests.append((request.transaction_uid, asked))
        if self.reports == "at once":  # pynetdicom lets a handler send
            self._send(event.assoc, request.transaction_uid, asked)
        elif self.reports in ("same", "new"):
            thread = threading.Thread(
                target=self._report_same if self.reports == "same" else self._report_anew,
                args=(request.transaction_uid, asked)
                if self.reports == "new"
                else (request.transaction_uid, asked, event.assoc),
            )
            self._threads.append(thread)
            thread.start()
        return 0x0000, None

    def _report_same(
        self, transaction_uid: str, asked: list[tuple[str, str]], association: Association
    ) -> None:
        threading.Event().wait(0.2)
        with wire.answers_for_us(association):
            self._send(association, transaction_uid, asked)

    def _report_anew(self, transaction_uid: str, asked: list[tuple[str, str]]) -> None:
        association = wire.entity("PACS").associate(
            HOST,
            self.node_port,
            contexts=messages.contexts(),
            ae_title="NEUROSIEVE",
            ext_neg=[build_role(messages.SOP_CLASS, scp_role=True)],
        )
        assert association.is_established
        with wire.answers_for_us(association):
            self._send(association, transaction_uid, asked)
            association.release()
        wire.wait_for_end([association])

    def _send(
        self, association: Association, transaction_uid: str, asked: list[tuple[str, str]]
    ) -> None:
        content = Dataset()
        content.TransactionUID = transaction_uid
        kept = [one for one in asked if self.held.get(one[1]) == one[0]]
        lost = [one for one in asked if one not in kept]
        if kept:
            content.ReferencedSOPSequence = [_item(one) for one in kept]
        if lost:
            content.FailedSOPSequence = [_item(one, FailureReason=0x0112) for one in lost]
        status, _ = association.send_n_event_report(
            content, 2 if lost else 1, messages.SOP_CLASS, messages.INSTANCE
        )
        self.answers.append(status.get("Status"))


def _item(reference: tuple[str, str], **more: Any) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference
    for name, value in more.items():
        setattr(item, name, value)
    return item


@contextmanager
def proving_pacs(**how: Any) -> Iterator[ProvingPacs]:
    """A PACS on a port of its own."""
    pacs = ProvingPacs(**how)
    pacs.start()
    try:
        yield pacs
    finally:
        pacs.stop()

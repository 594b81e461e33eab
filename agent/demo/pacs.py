"""A simulated PACS: keeps what it is sent in a folder, commits to it, routes images to a node."""

import hashlib
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pydicom.filereader import read_file_meta_info
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.transport import ThreadedAssociationServer

from agent.dicom import commitment_messages, part10, sender, wire
from agent.dicom.commitment_messages import Reference
from agent.dicom.commitment_scp import CommitmentProvider
from agent.dicom.peer import Destination
from agent.dicom.sender import SendItem, SendOutcome
from storage.records import SopUid

_HOST = "127.0.0.1"
_SUCCESS = 0x0000
_PART = ".part"
_LINGER_SECONDS = 0.05


class SimulatedPacs:
    """A PACS on this machine, running inside a `with` block. One file an object, the last one sent.

    It accepts every storage class in every transfer syntax and understands nothing of either. Asked
    for storage commitment, it vouches for what lies in the folder.
    """

    def __init__(
        self, folder: Path, *, ae_title: str = "PACS", host: str = _HOST, port: int = 0
    ) -> None:
        self.folder = folder
        self.ae_title = ae_title
        self._host = host
        self._port = port
        self._server: ThreadedAssociationServer | None = None
        self._connections: list[socket.socket] = []
        self._arrived = threading.Condition()
        self._provider: CommitmentProvider | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        entity = wire.entity(self.ae_title)
        entity.add_supported_context(wire.VERIFICATION)
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)
        self._provider = CommitmentProvider(
            ae_title=self.ae_title,
            examine=self._examine,
            address_of=lambda _title, _address: None,  # whoever asks waits for the report
            linger_seconds=_LINGER_SECONDS,
        )
        commitment_messages.accept(entity)
        self._server = entity.start_server(
            (self._host, self._port),
            block=False,
            evt_handlers=[
                (evt.EVT_CONN_OPEN, wire.send_at_once),
                (evt.EVT_CONN_OPEN, wire.acknowledge_at_once),
                (evt.EVT_CONN_OPEN, self._on_open),
                (evt.EVT_C_STORE, self._on_store),
                (evt.EVT_N_ACTION, self._provider.on_action),
            ],
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            open_ones = self._server.active_associations
            self._server.shutdown()
            if self._provider is not None:
                self._provider.stop()
            for association in open_ones:
                association.abort()
            wire.wait_for_end(open_ones)
            for connection in self._connections:  # pynetdicom drops those that broke off
                connection.close()
            self._server = None

    def _examine(self, references: Sequence[Reference]) -> dict[SopUid, int]:
        return {
            one.sop_uid: commitment_messages.NO_SUCH_INSTANCE
            for one in references
            if not self._file(one.sop_uid).exists()
        }

    def _file(self, sop_uid: str) -> Path:
        """Names never come from the network; the same object sent again replaces the first."""
        return self.folder / f"{hashlib.sha256(sop_uid.encode()).hexdigest()[:24]}.dcm"

    def _on_open(self, event: evt.Event) -> None:
        wrapped = event.assoc.dul.socket
        if wrapped is not None and wrapped.socket is not None:
            self._connections.append(wrapped.socket)

    @property
    def port(self) -> int:
        """The port in use."""
        return self._port if self._server is None else int(self._server.server_address[1])

    @property
    def destination(self) -> Destination:
        """This PACS, as a node sees it."""
        return Destination(name="pacs", ae_title=self.ae_title, host=self._host, port=self.port)

    def received(self) -> list[Path]:
        """The files that were sent here, oldest first."""
        files = self.folder.glob("*.dcm")
        return sorted(files, key=lambda file: (file.stat().st_mtime_ns, file.name))

    def wait_for(self, predicate: Callable[[list[Path]], bool], *, timeout_seconds: float) -> bool:
        """Wait until the received files satisfy `predicate`; False when time ran out first."""
        with self._arrived:
            return self._arrived.wait_for(lambda: predicate(self.received()), timeout_seconds)

    def send(self, paths: Iterable[Path], node: Destination) -> list[SendOutcome]:
        """Route images to a node, in one association, as they lie on disk."""
        return sender.send([_item(path) for path in paths], node, calling_ae=self.ae_title)

    def _on_store(self, event: evt.Event) -> int:
        request = wire.store_request(event)
        header = part10.file_header(
            sop_class_uid=str(request.AffectedSOPClassUID),
            sop_uid=str(request.AffectedSOPInstanceUID),
            transfer_syntax_uid=str(event.context.transfer_syntax),
            source_ae=str(event.assoc.requestor.ae_title),
        )
        kept = self._file(str(request.AffectedSOPInstanceUID))
        part = kept.with_suffix(f"{_PART}{threading.get_ident()}")
        part.write_bytes(header + event.encoded_dataset(include_meta=False))
        with self._arrived:
            part.replace(kept)
            self._arrived.notify_all()
        return _SUCCESS


def _item(path: Path) -> SendItem:
    meta = read_file_meta_info(path)
    return SendItem(
        path=path,
        sop_uid=SopUid(str(meta.MediaStorageSOPInstanceUID)),
        sop_class_uid=str(meta.MediaStorageSOPClassUID),
        transfer_syntax_uid=str(meta.TransferSyntaxUID),
    )

"""A receiving node on this machine and a sender that can also send what no sender should."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode

from agent.dicom import headers, part10, wire
from agent.dicom.admission import Quota, TlsEntrance
from agent.dicom.front_door import FrontDoor
from agent.dicom.listener import ImageStore, Listener
from agent.dicom.peer import Destination
from agent.dicom.receipts import Receipts
from agent.dicom.sender import SendItem
from storage import studies
from storage.database import Database, open_database
from storage.files import FileStore
from storage.records import Instance, SopUid, StudyKey

HOST = "127.0.0.1"
MR_EXPLICIT = (str(MRImageStorage), str(ExplicitVRLittleEndian))


@dataclass(frozen=True, kw_only=True)
class ReceivingNode:
    """The parts of a node that receive, running."""

    listener: Listener
    receipts: Receipts
    store: FileStore
    database: Database

    @property
    def destination(self) -> Destination:
        return Destination(name="node", ae_title="NODE", host=HOST, port=self.listener.port)

    def files(self, study_uid: str) -> list[Path]:
        """The kept files of a study, as they say themselves."""
        kept = [self.store.path_of(path) for path in self.store.image_paths()]
        return [file for file in kept if _study_of(file) == study_uid]

    def instances(self, study_uid: str, revision: int = 1) -> tuple[Instance, ...]:
        """What the database knows of a study, once everything waiting is in it."""
        assert self.receipts.flush()
        with self.database.read() as session:
            return studies.instances_of(session, StudyKey(f"{study_uid}#{revision}"))

    def row_count(self, study_uid: str) -> int:
        """How many images of a study the database knows, replaced ones included."""
        assert self.receipts.flush()
        with self.database.read() as session:
            recorded = studies.recorded_paths(session, list(self.store.image_paths()))
        return sum(_study_of(self.store.path_of(path)) == study_uid for path in recorded)


def _study_of(file: Path) -> str:
    kept = part10.parse(file.read_bytes())
    return headers.read(kept.encoded, kept.transfer_syntax_uid).study_uid


@contextmanager
def receiving_node(
    folder: Path,
    *,
    is_ours: Callable[[SopUid], bool] = lambda _: False,
    store_for_images: Callable[[FileStore], ImageStore] = lambda store: store,
    idle_seconds: float = 20.0,
    door: FrontDoor | None = None,
    on_rejected: Callable[[str, str], None] = lambda _title, _address: None,
    quota: Quota | None = None,
    tls: TlsEntrance | None = None,
    is_plain: bool = True,
) -> Iterator[ReceivingNode]:
    """A node that keeps everything under `folder`, on a port of its own."""
    database = migrated_database(folder)
    store = FileStore(folder / "files", reserve_bytes=0)
    receipts = Receipts(database, store)
    listener = Listener(
        ae_title="NODE",
        host=HOST,
        port=0,
        store=store_for_images(store),
        receipts=receipts,
        is_ours=is_ours,
        idle_seconds=idle_seconds,
        door=door,
        on_rejected=on_rejected,
        quota=quota,
        tls=tls,
        is_plain=is_plain,
    )
    receipts.start()
    listener.start()
    try:
        yield ReceivingNode(listener=listener, receipts=receipts, store=store, database=database)
    finally:
        listener.stop(grace_seconds=2.0)
        receipts.stop()
        database.close()


def migrated_database(folder: Path) -> Database:
    database = open_database(f"sqlite:///{folder / 'node.sqlite'}")
    database.migrate()
    return database


@contextmanager
def association_to(
    port: int,
    contexts: Sequence[tuple[str, str]] = (MR_EXPLICIT,),
    *,
    title: str = "MODALITY",
    host: str = HOST,
) -> Iterator[Association]:
    """An association from `title`, released at the end if it still stands."""
    entity = wire.entity(title)
    association = entity.associate(
        host, port, contexts=[build_context(*context) for context in contexts]
    )
    try:
        with wire.answers_for_us(association):
            try:
                yield association
            finally:
                if association.dul.socket is not None and association.dul.socket.socket is not None:
                    association.release()
    finally:
        entity.close_dropped_socket(association)


def encoded(dataset: Dataset) -> bytes:
    """The data set in the transfer syntax that its file meta names."""
    syntax = dataset.file_meta.TransferSyntaxUID
    content = encode(dataset, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
    assert content is not None
    return content


def store(
    association: Association,
    content: bytes,
    *,
    sop_uid: str,
    context: tuple[str, str] = MR_EXPLICIT,
    class_in_request: str | None = None,
    priority: int = 2,
) -> int | None:
    """C-STORE of any bytes as they are; the status that came back, None without an answer."""
    accepted = {
        (str(one.abstract_syntax), str(one.transfer_syntax[0])): one.context_id
        for one in association.accepted_contexts
    }
    request = C_STORE()
    request.MessageID = 1
    request.Priority = priority
    request.AffectedSOPClassUID = class_in_request or context[0]
    request.AffectedSOPInstanceUID = sop_uid
    request.DataSet = BytesIO(content)
    context_id = accepted[context]
    assert context_id is not None
    association.dimse.send_msg(request, context_id)
    _, answer = association.dimse.get_msg(block=True)
    return answer.Status if isinstance(answer, C_STORE) else None


def store_dataset(association: Association, dataset: Dataset, *, priority: int = 2) -> int | None:
    """C-STORE of a data set in the transfer syntax that its file meta names."""
    return store(
        association,
        encoded(dataset),
        sop_uid=str(dataset.SOPInstanceUID),
        context=(str(dataset.SOPClassUID), str(dataset.file_meta.TransferSyntaxUID)),
        priority=priority,
    )


def saved(datasets: Sequence[Dataset], folder: Path) -> list[SendItem]:
    """The data sets as files, ready to be sent."""
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for number, dataset in enumerate(datasets):
        item = SendItem(
            path=folder / f"{number:04}.dcm",
            sop_uid=SopUid(str(dataset.SOPInstanceUID)),
            sop_class_uid=str(dataset.SOPClassUID),
            transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
        )
        header = part10.file_header(
            sop_class_uid=item.sop_class_uid,
            sop_uid=item.sop_uid,
            transfer_syntax_uid=item.transfer_syntax_uid,
            source_ae="TEST",
        )
        item.path.write_bytes(header + encoded(dataset))
        items.append(item)
    return items

"""A source of studies that answers C-FIND and C-MOVE as a test wants, also in odd ways."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage
from pynetdicom import build_context, evt

from agent.dicom import query, wire
from agent.dicom.peer import Destination
from reception import HOST

PENDING, SUCCESS = 0xFF00, 0x0000


@dataclass(kw_only=True)
class OddSource:
    """What it holds may be changed while it runs; `asked` counts questions by level."""

    title: str = "PACS"
    sends_as: str = ""  # where C-MOVE comes from another AE title
    unsendable: set[str] = field(default_factory=set)  # SOP UIDs that C-MOVE leaves out
    held: list[Dataset] = field(default_factory=list)
    says_counts: bool = True
    find_status: int = SUCCESS
    move_status: int = SUCCESS
    delay_seconds: float = 0.0
    node_port: int = 0
    port: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    moves: list[tuple[str, str]] = field(default_factory=list)  # series UID, destination

    @property
    def destination(self) -> Destination:
        return Destination(name=self.title, ae_title=self.title, host=HOST, port=self.port)

    def of(self, **wanted: str) -> list[Dataset]:
        """What it holds with these values."""
        return [one for one in self.held if all(one.get(k) == v for k, v in wanted.items())]


@contextmanager
def running_source(source: OddSource) -> Iterator[OddSource]:
    """The source on a port of its own."""
    entity = wire.entity(source.sends_as or source.title)
    syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    for model in (query.FIND, query.MOVE):
        entity.add_supported_context(model, syntaxes)
    entity.requested_contexts = [build_context(MRImageStorage, ExplicitVRLittleEndian)]
    server = entity.start_server(
        (HOST, source.port),
        block=False,
        evt_handlers=[
            (evt.EVT_CONN_OPEN, wire.send_at_once),
            (evt.EVT_C_FIND, _find, [source]),
            (evt.EVT_C_MOVE, _move, [source]),
        ],
    )
    assert server is not None
    source.port = int(server.server_address[1])
    try:
        yield source
    finally:
        open_ones = server.active_associations
        server.shutdown()
        for association in open_ones:
            association.abort()
        wire.wait_for_end(open_ones)


def _find(event: evt.Event, source: OddSource) -> Iterator[tuple[int, Dataset | None]]:
    keys = event.identifier
    source.asked[keys.QueryRetrieveLevel] += 1
    time.sleep(source.delay_seconds)
    if source.find_status != SUCCESS:
        yield source.find_status, None
        return
    answer = _series if keys.QueryRetrieveLevel == "SERIES" else _image
    for found in answer(source, keys):
        yield PENDING, found


def _series(source: OddSource, keys: Dataset) -> Iterator[Dataset]:
    held = source.of(StudyInstanceUID=keys.StudyInstanceUID)
    for uid in sorted({one.SeriesInstanceUID for one in held}):
        members = [one for one in held if one.SeriesInstanceUID == uid]
        found = Dataset()
        found.QueryRetrieveLevel = "SERIES"
        found.SeriesInstanceUID = uid
        found.Modality = members[0].Modality
        if source.says_counts:
            found.NumberOfSeriesRelatedInstances = len(members)
        yield found


def _image(source: OddSource, keys: Dataset) -> Iterator[Dataset]:
    for one in source.of(SeriesInstanceUID=keys.SeriesInstanceUID):
        found = Dataset()
        found.QueryRetrieveLevel = "IMAGE"
        found.SOPInstanceUID = one.SOPInstanceUID
        found.SOPClassUID = one.SOPClassUID
        yield found


def _move(event: evt.Event, source: OddSource) -> Iterator[Any]:
    keys = event.identifier
    source.moves.append((keys.SeriesInstanceUID, event.move_destination or ""))
    if source.move_status != SUCCESS:
        yield None, None  # pynetdicom answers 0xA801, move destination unknown
        return
    held = source.of(SeriesInstanceUID=keys.SeriesInstanceUID)
    series = [one for one in held if one.SOPInstanceUID not in source.unsendable]
    yield HOST, source.node_port
    yield len(series)
    for one in series:
        yield PENDING, one


def one_association_each(
    datasets: Sequence[Dataset], port: int, *, title: str, pause_seconds: float
) -> threading.Thread:
    """A sender that opens an association for every image, in a thread of its own."""
    from reception import association_to, store_dataset

    def send() -> None:
        for one in datasets:
            with association_to(port, title=title) as association:
                assert store_dataset(association, one) == SUCCESS
            time.sleep(pause_seconds)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread

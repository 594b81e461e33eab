"""Storage commitment for those who send to us: what is vouched for, and how they are told."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage
from pynetdicom import build_context, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.transport import ThreadedAssociationServer

import builders
from agent.dicom import commitment_messages as messages
from agent.dicom import commitment_scp, exchange, wire
from agent.dicom.commitment_scp import CommitmentProvider
from agent.dicom.commitment_services import CommitmentServices
from agent.dicom.front_door import FrontDoor, Sender
from agent.dicom.kept_images import KeptImages
from agent.dicom.listener import Listener
from agent.dicom.peer import Destination
from agent.dicom.receipts import Receipts
from delivering import listening
from orthanc import free_port
from reception import MR_EXPLICIT, association_to, encoded, store_dataset
from running import wait_until
from storage.database import Database, open_database
from storage.errors import StorageError
from storage.files import FileStore
from storage.records import SopUid

HOST = "127.0.0.1"
COMMITMENT = (str(messages.SOP_CLASS), str(messages.SYNTAXES[0]))
# Until the peer ends its association: nothing comes over it then, which its `release` would take
# for ever to get over (see `exchange`).
PATIENT = 5.0


@dataclass(kw_only=True)
class Asker:
    """A modality that asks us, and keeps the reports it is sent."""

    port: int = 0
    reports: list[messages.Report] = field(default_factory=list)
    event_types: list[int | None] = field(default_factory=list)
    refuses: int = 0  # so many reports before it takes one
    server: ThreadedAssociationServer | None = None

    @property
    def destination(self) -> Destination:
        return Destination(name="modality", ae_title="MODALITY", host=HOST, port=self.port)

    def on_report(self, event: evt.Event) -> tuple[int, None]:
        if self.refuses:
            self.refuses -= 1
            return 0x0110, None
        self.event_types.append(event.event_type)
        self.reports.append(messages.read_report(event))
        return 0x0000, None

    def wait(self, count: int = 1) -> messages.Report:
        wait_until(lambda: len(self.reports) >= count, timeout_seconds=15, what="the report")
        return self.reports[-1]

    def start(self) -> None:
        entity = wire.entity("MODALITY")
        entity.add_supported_context(messages.SOP_CLASS, scu_role=True, scp_role=True)
        server = entity.start_server(
            (HOST, self.port),
            block=False,
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self.on_report)],
        )
        assert server is not None
        self.server = server
        self.port = int(server.server_address[1])

    def stop(self) -> None:
        if self.server is not None:
            open_ones = self.server.active_associations
            self.server.shutdown()
            wire.wait_for_end(open_ones)


@pytest.fixture
def asker() -> Iterator[Asker]:
    made = Asker()
    made.start()
    yield made
    made.stop()


def ask(
    association: Association,
    references: Sequence[tuple[str, str]],
    *,
    transaction: str = "2.25.77",
    action: int = 1,
    instance: str = messages.INSTANCE,
) -> int | None:
    """N-ACTION; how it was answered."""
    content = Dataset()
    if transaction:
        content.add(DataElement(0x00081195, "UI", transaction, validation_mode=config.IGNORE))
    items = []
    for sop_class, uid in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        items.append(item)
    content.ReferencedSOPSequence = items
    status, _ = association.send_n_action(content, action, messages.SOP_CLASS, instance)
    answered: int | None = status.get("Status")
    return answered


@contextmanager
def asking(port: int, title: str = "MODALITY") -> Iterator[Association]:
    with association_to(port, [MR_EXPLICIT, COMMITMENT], title=title) as association:
        yield association


def sent_meanwhile(both: exchange.Exchange, image: Dataset) -> int | None:
    """C-STORE on an association where a report may come before the answer; the status."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = image.SOPClassUID
    request.AffectedSOPInstanceUID = image.SOPInstanceUID
    request.DataSet = BytesIO(encoded(image))
    context = both.association.accepted_contexts[0]
    both.association.dimse.send_msg(request, context.context_id or 0)
    for message in both._messages(time.monotonic() + 15):
        if isinstance(message, C_STORE):
            return message.Status
    return None


def references(images: Sequence[Dataset]) -> list[tuple[str, str]]:
    return [(str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in images]


def test_what_was_received_is_vouched_for_and_the_rest_is_not(
    database_url: str, tmp_path: Path, asker: Asker
) -> None:
    images = builders.flair_series(slices=3)
    unknown, conflict = (str(MRImageStorage), "1.2.3.4"), ("1.2.840.10008.5.1.4.1.1.2", "")
    with listening(database_url, tmp_path, report_to=asker.destination) as listener:
        with asking(listener.port) as association:
            assert [store_dataset(association, one) for one in images] == [0, 0, 0]
            conflict = (conflict[0], str(images[2].SOPInstanceUID))
            wanted = [*references(images[:2]), unknown, conflict]
            assert ask(association, wanted) == 0x0000  # at once, on the association of the images
        report = asker.wait()
    assert report.transaction_uid == "2.25.77"
    assert set(report.committed) == {str(one.SOPInstanceUID) for one in images[:2]}
    assert report.failed == {"1.2.3.4": 0x0112, conflict[1]: 0x0119}
    assert asker.event_types == [2]


def test_a_peer_that_holds_its_association_open_is_told_on_it(
    database_url: str, tmp_path: Path
) -> None:
    """And it may go on sending meanwhile."""
    asker = Asker()
    images = builders.flair_series(slices=12)
    entity = wire.entity("MODALITY")
    with listening(database_url, tmp_path, linger_seconds=0.1) as listener:
        association = entity.associate(
            HOST,
            listener.port,
            contexts=[build_context(*MR_EXPLICIT), build_context(*COMMITMENT)],
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, asker.on_report)],
        )
        with wire.answers_for_us(association):
            assert store_dataset(association, images[0]) == 0
            assert ask(association, references(images[:1])) == 0
            with exchange.opened(association) as both:
                assert [sent_meanwhile(both, one) for one in images[1:]] == [0] * 11
                both.wait(lambda: bool(asker.reports), seconds=15)
            report = asker.wait()
            assert association.is_established
            association.release()
    assert report.committed == (str(images[0].SOPInstanceUID),)
    assert asker.event_types == [1]


def test_a_row_that_waits_for_the_database_is_vouched_for_by_its_file(
    database: Database, tmp_path: Path
) -> None:
    store = FileStore(tmp_path / "files", reserve_bytes=0)
    receipts = Receipts(database, store)  # not started: nothing gets a row
    listener = Listener(
        ae_title="NODE",
        host=HOST,
        port=0,
        store=store,
        receipts=receipts,
        is_ours=lambda _: False,
    )
    (image,) = builders.flair_series(slices=1)
    listener.start()
    try:
        with association_to(listener.port) as association:
            assert store_dataset(association, image) == 0
    finally:
        listener.stop(grace_seconds=1.0)
    (reference,) = references([image])
    asked = [messages.Reference(sop_class_uid=reference[0], sop_uid=SopUid(reference[1]))]
    holdings = KeptImages(database=database, store=store, receipts=receipts)
    assert holdings.examine(asked) == {}
    for path in store.image_paths():
        store.path_of(path).unlink()  # the row would say that it is there
    assert holdings.examine(asked) == {reference[1]: 0x0112}
    receipts.start()
    receipts.stop()
    assert holdings.examine(asked) == {reference[1]: 0x0112}


def test_a_peer_that_is_away_is_told_later(database_url: str, tmp_path: Path, asker: Asker) -> None:
    (image,) = builders.flair_series(slices=1)
    asker.stop()
    with listening(
        database_url,
        tmp_path,
        report_to=asker.destination,
        linger_seconds=PATIENT,
        waits_seconds=(0.5, 0.5, 0.5, 0.5, 0.5, 0.5),
    ) as listener:
        with asking(listener.port) as association:
            store_dataset(association, image)
            assert ask(association, references([image])) == 0
        asker.refuses = 1
        asker.start()
        assert asker.wait().committed == (str(image.SOPInstanceUID),)


def test_a_peer_that_stays_away_is_given_up_after_some_tries(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = Destination(name="modality", ae_title="MODALITY", host=HOST, port=free_port())

    def unreported() -> list[str]:
        records = (one for one in caplog.records if one.getMessage().startswith("Storage commit"))
        return [one.getMessage() for one in records]

    with listening(
        database_url, tmp_path, report_to=nobody, linger_seconds=PATIENT, waits_seconds=(0.1,)
    ) as listener:
        with asking(listener.port) as association:
            assert ask(association, [(str(MRImageStorage), "1.2.3")]) == 0
        wait_until(lambda: bool(unreported()), timeout_seconds=10, what="the end of the tries")
    assert "1 of them not kept" in unreported()[0]
    assert "cannot be reached" in unreported()[0]


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"action": 2}, 0x0123),
        ({"instance": "1.2.3"}, 0x0112),
        ({"transaction": ""}, 0x0115),
        ({"transaction": "../../etc"}, 0x0115),
        ({"references": []}, 0x0115),
    ],
)
def test_a_request_that_is_none_is_refused(
    database_url: str, tmp_path: Path, wrong: dict[str, object], status: int
) -> None:
    asked = {"references": [(str(MRImageStorage), "1.2.3")]} | wrong
    with listening(database_url, tmp_path) as listener, asking(listener.port) as association:
        assert ask(association, **asked) == status  # type: ignore[arg-type]
        assert ask(association, [(str(MRImageStorage), "1.2.3")]) == 0  # and it goes on


def test_too_many_requests_at_once_are_told_to_come_again(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitment_scp, "MAXIMUM_WAITING", 2)
    with (
        listening(database_url, tmp_path, linger_seconds=PATIENT) as listener,
        asking(listener.port) as association,
    ):
        asked = [(str(MRImageStorage), "1.2.3")]
        assert [ask(association, asked) for _ in range(3)] == [0, 0, 0x0213]


def test_while_the_database_is_away_nothing_is_vouched_for(
    tmp_path: Path, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitment_scp, "DATABASE_WAITS_SECONDS", (0.01, 0.01))

    def away(_: Sequence[messages.Reference]) -> dict[str, int]:
        raise StorageError("The database is away.")

    provider = CommitmentProvider(
        ae_title="NEUROSIEVE",
        examine=away,  # type: ignore[arg-type]
        address_of=lambda _title, _address: asker.destination,
        linger_seconds=PATIENT,
    )
    with served(tmp_path, provider) as port:
        with asking(port) as association:
            assert ask(association, [(str(MRImageStorage), "1.2.3")]) == 0
        # Before the listener stops: what is not reported by then is given up.
        assert asker.wait().failed == {"1.2.3": 0x0110}


def test_a_destination_that_is_no_sender_may_report_and_not_send(tmp_path: Path) -> None:
    provider = CommitmentProvider(
        ae_title="NEUROSIEVE", examine=lambda _: {}, address_of=lambda _t, _a: None
    )
    senders = FrontDoor([Sender(ae_title="MODALITY", host=HOST)], this_machine=False)
    with served(tmp_path, provider, senders=senders) as port:
        with asking(port, "PACS") as association:
            offered = {str(one.abstract_syntax) for one in association.accepted_contexts}
            assert offered == {messages.SOP_CLASS}
        with asking(port, "MODALITY") as association:
            assert len(association.accepted_contexts) == 2


@contextmanager
def served(
    folder: Path, provider: CommitmentProvider, *, senders: FrontDoor | None = None
) -> Iterator[int]:
    """A listener with this provider; its port."""
    database = open_database(f"sqlite:///{folder / 'served.db'}")
    store = FileStore(folder / "served", reserve_bytes=0)
    listener = Listener(
        ae_title="NEUROSIEVE",
        host=HOST,
        port=0,
        store=store,
        receipts=Receipts(database, store),
        is_ours=lambda _: False,
        commitment=CommitmentServices(
            provider=provider, take=lambda _: None, senders=senders or FrontDoor()
        ),
    )
    listener.start()
    try:
        yield listener.port
    finally:
        listener.stop(grace_seconds=1.0)
        database.close()

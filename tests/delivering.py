"""A study whose results are made and wait for their destination, over a real database."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import builders
from agent import ending
from agent.confirmation import Confirm, Confirmation
from agent.delivery import DeliverySteps
from agent.dicom import part10
from agent.dicom.commitment_scp import CommitmentProvider
from agent.dicom.commitment_services import CommitmentServices
from agent.dicom.front_door import FrontDoor
from agent.dicom.kept_images import KeptImages
from agent.dicom.listener import Listener
from agent.dicom.peer import Destination
from agent.dicom.receipts import Receipts
from agent.dicom.transport import AnyDestination
from received import NOW, image
from reception import encoded
from storage import results, studies
from storage.database import Database, open_database
from storage.enums import DeliveryState, Outcome, Role, StudyState
from storage.files import FileStore
from storage.records import Delivery, ResultObject, SeriesUid, SopUid, Study, StudyKey

PROFILE = "usual"


@dataclass(kw_only=True)
class Bench:
    """The delivery of one study with real files to real peers."""

    database: Database
    store: FileStore
    key: StudyKey
    steps: DeliverySteps
    peer: AnyDestination
    problems: list[str] = field(default_factory=list)

    def deliver(self) -> str:
        """One try, settled as the engine does."""
        problem = self.steps.deliver(self.key, self.peer.name)
        self.problems.append(problem)
        if not problem:
            with self.database.begin() as session:
                self.steps.finish(session, self.key)
        return problem

    def deliveries(self) -> tuple[Delivery, ...]:
        with self.database.read() as session:
            return results.deliveries_of(session, self.key)

    def states(self) -> set[DeliveryState]:
        return {one.state for one in self.deliveries()}

    def study(self) -> Study:
        with self.database.read() as session:
            return studies.get(session, self.key)


def bench(
    database: Database,
    folder: Path,
    peer: AnyDestination,
    *,
    way: Confirm = Confirm.AUTO,
    count: int = 3,
    **patience: float,
) -> Bench:
    """A study in DELIVERING with so many results for the peer."""
    store = FileStore(folder / "files", reserve_bytes=0)
    key = _complete(database)
    objects = _results(store, key, count)
    with database.begin() as session:
        for state in (StudyState.ANALYSING, StudyState.COMPOSED):
            studies.advance(session, key, state, now=NOW)
        results.save_objects(session, key, objects)
        said = replace(builders.analysis(None), outcome=Outcome.NO_ABNORMALITY)
        results.save_analysis(session, key, said, ())
    steps = DeliverySteps(
        database=database,
        store=store,
        destinations=(peer,),
        calling_ae="NEUROSIEVE",
        profiles={peer.name: PROFILE},
        confirmation=Confirmation(
            database=database,
            calling_ae="NEUROSIEVE",
            ways={peer.name: way},
            **({"wait_seconds": 1.0} | patience),
        ),
    )
    with database.begin() as session:
        assert steps.plan(session, key) == (peer.name,)
    return Bench(database=database, store=store, key=key, steps=steps, peer=peer)


def again(here: Bench, **changes: object) -> Bench:
    """The same delivery in another process, or with another patience."""
    confirmation = replace(here.steps.confirmation, **changes)  # type: ignore[arg-type]
    return replace(here, steps=replace(here.steps, confirmation=confirmation))


def _complete(database: Database) -> StudyKey:
    with database.begin() as session:
        (key,) = studies.record_instances(session, [image(1)])
        studies.complete(session, key, evidence="a test", now=NOW)
    return key


def _results(store: FileStore, key: StudyKey, count: int) -> Sequence[ResultObject]:
    study_uid = key.rpartition("#")[0]
    objects = []
    for number, dataset in enumerate(builders.flair_series(slices=count, study="results")):
        dataset.StudyInstanceUID = study_uid
        header = part10.file_header(
            sop_class_uid=str(dataset.SOPClassUID),
            sop_uid=str(dataset.SOPInstanceUID),
            transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
            source_ae="TEST",
        )
        kept = store.keep_result(key, f"{number}.dcm", header + encoded(dataset))
        objects.append(
            ResultObject(
                sop_uid=SopUid(str(dataset.SOPInstanceUID)),
                sop_class_uid=str(dataset.SOPClassUID),
                series_uid=SeriesUid(str(dataset.SeriesInstanceUID)),
                role=Role.DERIVED_SERIES,
                profile=PROFILE,
                transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
                path=kept.path,
                sha256=kept.sha256,
                size_bytes=kept.size_bytes,
            )
        )
    return objects


@contextmanager
def listening(
    database_url: str,
    folder: Path,
    *,
    port: int = 0,
    report_to: Destination | None = None,
    linger_seconds: float = 0.3,
    waits_seconds: Sequence[float] = (0.2, 0.2, 0.2),
) -> Iterator[Listener]:
    """The listener of the node, as another process would run it: with a database of its own."""
    database = open_database(database_url)
    store = FileStore(folder / "files", reserve_bytes=0)
    receipts = Receipts(database, store)
    provider = CommitmentProvider(
        ae_title="NEUROSIEVE",
        examine=KeptImages(database=database, store=store, receipts=receipts).examine,
        address_of=lambda _title, _address: report_to,
        linger_seconds=linger_seconds,
        waits_seconds=waits_seconds,
    )
    listener = Listener(
        ae_title="NEUROSIEVE",
        host="127.0.0.1",
        port=port,
        store=store,
        receipts=receipts,
        is_ours=lambda _: False,
        commitment=CommitmentServices(
            provider=provider,
            take=partial(ending.take_report, database),
            senders=FrontDoor(),
        ),
    )
    receipts.start()
    listener.start()
    try:
        yield listener
    finally:
        listener.stop(grace_seconds=2.0)
        receipts.stop()
        database.close()

"""A receiving node that completes studies and keeps what it would have enqueued."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, cast

from pydicom.dataset import Dataset
from sqlalchemy.orm import Session

from agent.completeness import Limits
from agent.completion import Completion
from agent.dicom.holdings import Source
from agent.inquiries import Inquiries, Pauses
from agent.jobs import Jobs
from reception import ReceivingNode, association_to, store_dataset
from running import wait_until
from sources import OddSource
from storage.database import Database
from storage.files import FileStore
from storage.records import Study, StudyUid

AE_TITLE = "NODE"
PAUSES = Pauses(first_ask=0.3, longest_ask=1.0, fetch=0.3, unreachable=0.5)


@dataclass
class Done:
    """In place of the queue: the studies that were completed, in that order."""

    studies: list[Study] = field(default_factory=list)

    def submit_analysis(self, session: Session, study: Study) -> None:
        del session
        self.studies.append(study)

    def wait(self, count: int = 1, *, seconds: float = 10.0) -> Study:
        """The newest one, once there are so many."""
        wait_until(
            lambda: len(self.studies) >= count, timeout_seconds=seconds, what="a complete study"
        )
        assert len(self.studies) == count
        return self.studies[-1]


class Alone:
    """A listener's database without the listener, as the second of two has it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = FileStore(Path(tempfile.gettempdir()), reserve_bytes=0)  # nothing is written
        self.listener = self

    def open_studies(self) -> frozenset[StudyUid]:
        return frozenset()


def source_at(source: OddSource, *, may_move: bool) -> Source:
    """How the node may ask that source."""
    return Source(
        ae_title=source.title,
        at=source.destination,
        mover=source.destination if may_move else None,
        calling_ae=AE_TITLE,
    )


class Times(TypedDict):
    """How long `completing` waits."""

    quiet_seconds: float
    wait_seconds: float


@contextmanager
def completing(
    node: ReceivingNode | Alone,
    sources: Sequence[Source] = (),
    *,
    quiet_seconds: float = 1.0,
    wait_seconds: float = 5.0,
    expected: Sequence[str] = (),
    pauses: Pauses = PAUSES,
    meanwhile: Callable[[], None] = lambda: None,
) -> Iterator[Done]:
    """Completion over that node; it may be ended and begun again, as by a restart.

    `meanwhile` happens once, between what completion has read of a study and what it does.
    """
    done = Done()
    happens = iter([meanwhile])

    def limits(_: str) -> Limits:
        next(happens, lambda: None)()
        return Limits(quiet_seconds=quiet_seconds, wait_seconds=wait_seconds)

    completion = Completion(
        database=node.database,
        jobs=cast(Jobs, done),
        listener=node.listener,
        inquiries=Inquiries(
            database=node.database,
            store=node.store,
            sources={one.ae_title: one for one in sources},
            expected_series=expected,
            pauses=pauses,
        ),
        limits=limits,
    )
    completion.start()
    try:
        yield done
    finally:
        completion.stop()


def send(datasets: Sequence[Dataset], node: ReceivingNode, *, title: str = "PACS") -> None:
    """Store them in one association."""
    with association_to(node.listener.port, title=title) as association:
        for one in datasets:
            assert store_dataset(association, one) == 0x0000

"""A node under load: senders with different transfer syntaxes, two workers, one PostgreSQL.

`python tests/benchmarks/load.py --minutes 30`. Says what was lost, and whether memory and open
descriptors grew: their medians in the second tenth of the time beside those in the last tenth.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)
from sqlalchemy import func, select

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import demo_study
import reception
from agent.demo.pacs import SimulatedPacs
from agent.dicom.sender import SendItem, SendOutcome
from postgres import Postgres
from running import RunningNode, running
from storage import tables
from storage.database import open_database
from storage.enums import TERMINAL_STATES, DeliveryState, StudyState

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, JPEGLSLossless)
UNFINISHED = 12  # studies that wait or run before the senders pause: a load, not a flood
SAMPLE_SECONDS = 2.0
END_SECONDS = 900.0


def main() -> None:
    """Run the load and print one line a process, then the balance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="nsv-load-") as scratch, ExitStack() as stack:
        site = stack.enter_context(_site(Path(scratch)))
        senders = [Sender(site=site, number=number) for number in range(len(SYNTAXES))]
        samples = _held(site, senders, seconds=minutes * 60.0)
        _wait_for_end(site)
        for name, process in site.processes.items():
            print(_line(name, samples[name], alive=process.process is not None))
        balance = _balance(site, senders)
    print(balance.sentence(minutes))
    sys.exit(0 if balance.is_even else 1)


@dataclass(frozen=True, kw_only=True)
class Site:
    """One listener, two workers, a PACS, a folder for the senders' files."""

    folder: Path
    listening: RunningNode
    processes: dict[str, RunningNode]
    pacs: SimulatedPacs
    url: str

    def count(self, *states: StudyState) -> int:
        """How many revisions are in these states; all without any."""
        statement = select(func.count()).select_from(tables.study)
        if states:
            statement = statement.where(tables.study.c.state.in_(states))
        database = open_database(self.url)
        try:
            with database.read() as session:
                return session.scalar(statement) or 0
        finally:
            database.close()


@contextmanager
def _site(folder: Path) -> Iterator[Site]:
    with Postgres() as server, SimulatedPacs(folder / "pacs") as pacs:
        listening = RunningNode(folder=folder / "node", role="listen", database_url=server.url)
        first = replace(listening, role="work", destinations=(pacs.destination,))
        second = replace(first, slot="1")
        with running(listening), running(first), running(second):
            yield Site(
                folder=folder / "sent",
                listening=listening,
                processes={"listen": listening, "work 0": first, "work 1": second},
                pacs=pacs,
                url=server.url,
            )


@dataclass(kw_only=True)
class Sender:
    """Sends the bundled study again and again, each time as another one, in its own syntax."""

    site: Site
    number: int
    acknowledged: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)

    def run(self, until: float) -> None:
        """Send until the time is over, and pause while the node has enough to do."""
        images = _encoded(SYNTAXES[self.number])
        folder = self.site.folder / str(self.number)
        while time.monotonic() < until:
            if self.site.count() - self.site.count(*TERMINAL_STATES) >= UNFINISHED:
                time.sleep(1.0)
                continue
            items = reception.saved(_as_another_study(images), folder)
            for outcome in self._sent(items):
                if outcome.stored:
                    self.acknowledged.add(outcome.sop_uid)
                else:
                    self.refused.append(outcome.message)

    def _sent(self, items: list[SendItem]) -> list[SendOutcome]:
        return self.site.pacs.send([item.path for item in items], self.site.listening.address)


def _encoded(syntax: str) -> list[Dataset]:
    """The bundled study in a transfer syntax."""
    images: list[Dataset] = [dcmread(path) for path in demo_study.IMAGES]
    for image in images:
        if image.file_meta.TransferSyntaxUID.is_compressed:
            image.decompress()
        if syntax in (RLELossless, JPEGLSLossless):
            image.compress(syntax, generate_instance_uid=False)
        image.file_meta.TransferSyntaxUID = UID(syntax)
    return images


def _as_another_study(images: list[Dataset]) -> list[Dataset]:
    study_uid, series_uid = generate_uid(), generate_uid()
    for image in images:
        image.StudyInstanceUID, image.SeriesInstanceUID = study_uid, series_uid
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    return images


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One look at a process."""

    resident_mib: float
    descriptors: int


def _held(site: Site, senders: list[Sender], *, seconds: float) -> dict[str, list[Sample]]:
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=one.run, args=(until,), daemon=True) for one in senders]
    for thread in threads:
        thread.start()
    samples: dict[str, list[Sample]] = {name: [] for name in site.processes}
    while time.monotonic() < until:
        for name, process in site.processes.items():
            samples[name].append(_sample(process))
        time.sleep(SAMPLE_SECONDS)
    for thread in threads:
        thread.join(120.0)
    return samples


def _sample(process: RunningNode) -> Sample:
    assert process.process is not None
    place = Path("/proc") / str(process.process.pid)
    resident_pages = int((place / "statm").read_text().split()[1])
    return Sample(
        resident_mib=resident_pages * 4096 / 2**20, descriptors=len(list((place / "fd").iterdir()))
    )


def _wait_for_end(site: Site) -> None:
    end = time.monotonic() + END_SECONDS
    while site.count() > site.count(*TERMINAL_STATES) and time.monotonic() < end:
        time.sleep(1.0)


def _line(name: str, samples: list[Sample], *, alive: bool) -> str:
    tenth = max(1, len(samples) // 10)
    early, late = samples[tenth : 2 * tenth], samples[-tenth:]
    memory = [statistics.median(one.resident_mib for one in part) for part in (early, late)]
    open_files = [statistics.median(one.descriptors for one in part) for part in (early, late)]
    return (
        f"{name:7} memory {memory[0]:.0f} -> {memory[1]:.0f} MiB, descriptors "
        f"{open_files[0]:.0f} -> {open_files[1]:.0f}{'' if alive else ', ENDED'}"
    )


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What was promised and what is there."""

    acknowledged: int
    absent: int
    refused: int
    studies: int
    delivered: int
    undelivered_objects: int

    @property
    def is_even(self) -> bool:
        """Whether nothing is missing."""
        return not (self.absent or self.refused or self.undelivered_objects) and (
            self.studies == self.delivered
        )

    def sentence(self, minutes: float) -> str:
        """The balance in one line."""
        return (
            f"{minutes:g} min: {self.acknowledged} images acknowledged, {self.absent} absent, "
            f"{self.refused} refused; {self.studies} studies, {self.delivered} delivered; "
            f"{self.undelivered_objects} result objects missing at the PACS"
        )


def _balance(site: Site, senders: list[Sender]) -> Balance:
    promised = set[str]().union(*(sender.acknowledged for sender in senders))
    database = open_database(site.url)
    try:
        with database.read() as session:
            rows = session.execute(select(tables.instance.c.sop_uid, tables.instance.c.path))
            data = site.listening.folder / "data"
            kept = {row.sop_uid for row in rows if (data / row.path).is_file()}
            objects = set(session.scalars(select(tables.result_object.c.sop_uid)))
            there = set(
                session.scalars(
                    select(tables.delivery.c.sop_uid).where(
                        tables.delivery.c.state.notin_(
                            (DeliveryState.PENDING, DeliveryState.FAILED)
                        )
                    )
                )
            )
    finally:
        database.close()
    received = len(site.pacs.received())
    return Balance(
        acknowledged=len(promised),
        absent=len(promised - kept),
        refused=sum(len(sender.refused) for sender in senders),
        studies=site.count(),
        delivered=site.count(StudyState.DELIVERED),
        undelivered_objects=len(objects - there) + max(0, len(objects) - received),
    )


if __name__ == "__main__":
    main()

"""From the last image to all results stored at a PACS, stage by stage; and studies per hour.

`python tests/benchmarks/study.py` sends the bundled study again and again, each time as another
one, and waits for its end. `--minutes 15` keeps the node busy for so long instead and counts what
it finishes, receiving and delivering included. Node, sender and PACS (DCMTK's) share the machine.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid
from sqlalchemy import func, select

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import demo_study
from benchmarks import harness
from benchmarks.harness import Figure, Report
from orthanc import free_port
from running import RunningNode, running, wait_until
from storage import tables
from storage.database import open_database
from storage.enums import TERMINAL_STATES, StudyState

QUIET_SECONDS = 0.5
MOST_SECONDS = 2.5  # of the median study
LEAST_STUDIES = 1000  # an hour
AHEAD = 4  # studies under way before the sender pauses: the node never waits for an image
END_SECONDS = 120.0
UID_LENGTH = 44  # of every UID that is replaced, so that files need not be written anew
SENDER = ("storescu", "-R", "--max-pdu", "131072", "+sd", "127.0.0.1")
STAGES = ("notice", "take up", "assemble", "analyse", "compose", "hand over", "deliver")


def main() -> int:
    """Print the figures; 1 when one was missed."""
    options = harness.parser(__doc__, rounds=15)
    options.add_argument("--minutes", type=float, default=0.0, help="sustained for so long instead")
    options.add_argument("--together", action="store_true", help="one process listens and works")
    options.add_argument("--settings", nargs="*", default=(), help="TOML lines of [work]")
    asked = options.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="nsv-study-") as scratch,
        site(Path(scratch), together=asked.together, work=asked.settings) as here,
    ):
        here.send()  # the first one loads the codes and the model's caches
        here.wait(1)
        minutes, rounds = asked.minutes, asked.rounds
        figures = sustained(here, minutes) if minutes else latencies(here, rounds)
    return harness.report(Report(benchmark="study", figures=figures), asked.json)


@dataclass(frozen=True, kw_only=True)
class Site:
    """A node, a PACS, and studies to send."""

    folder: Path
    nodes: Mapping[str, RunningNode]
    pacs: Path

    @property
    def working(self) -> RunningNode:
        """The process that works."""
        return list(self.nodes.values())[-1]

    def send(self) -> str:
        """Send the bundled study as another one; its UID."""
        uid, folder = another(self.folder / "sent")
        listening = next(iter(self.nodes.values()))
        command = [*SENDER, str(listening.port), str(folder)]
        subprocess.run(command, check=True, env=harness.QUICK_ENVIRONMENT, timeout=300)
        shutil.rmtree(folder)
        return uid

    def count(self, *states: StudyState) -> int:
        """How many studies are in these states; all without any."""
        statement = select(func.count()).select_from(tables.study)
        if states:
            statement = statement.where(tables.study.c.state.in_(states))
        database = open_database(self.working.url)
        try:
            with database.read() as session:
                return session.scalar(statement) or 0
        finally:
            database.close()

    def wait(self, studies: int) -> None:
        """Wait until so many have ended."""
        wait_until(
            lambda: self.count(*TERMINAL_STATES) >= studies,
            timeout_seconds=END_SECONDS,
            what=lambda: f"{studies} studies\n{self.working.log.read_text()[-2000:]}",
        )

    def clear_pacs(self) -> None:
        """Make room at the PACS."""
        for file in self.pacs.iterdir():
            with suppress(FileNotFoundError):
                file.unlink()


@contextmanager
def site(folder: Path, *, together: bool, work: Sequence[str]) -> Iterator[Site]:
    """A running node: two processes, or one that does both."""
    with ExitStack() as stack:
        port = stack.enter_context(storescp(folder / "pacs"))
        where = ("[[destinations]]", 'name = "pacs"', 'ae_title = "PACS"', 'host = "127.0.0.1"')
        one = RunningNode(
            folder=folder / "node",
            quiet_seconds=QUIET_SECONDS,
            peers=(*where, f"port = {port}", 'confirm = "off"'),
            work=tuple(work),
        )
        roles = ("serve",) if together else ("listen", "work")
        nodes = {role: replace(one, role=role) for role in roles}
        for node in nodes.values():
            stack.enter_context(running(node))
        yield Site(folder=folder, nodes=nodes, pacs=folder / "pacs")


@contextmanager
def storescp(folder: Path) -> Iterator[int]:
    """DCMTK's receiver as the PACS."""
    folder.mkdir()
    port = free_port()
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        ["storescp", "--fork", "--max-pdu", "131072", "-od", str(folder), str(port)],
        env=harness.QUICK_ENVIRONMENT,
        stdout=quiet,
        stderr=quiet,
    )
    try:
        time.sleep(0.5)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


def another(folder: Path) -> tuple[str, Path]:
    """The bundled study under UIDs of its own, as files in a new folder below that one."""
    study_uid = new_uid()
    made = folder / study_uid
    made.mkdir(parents=True)
    series_uid = new_uid()
    for number, content in enumerate(template(folder.parent / "template")):
        changed = content.replace(b"S" * UID_LENGTH, study_uid.encode())
        changed = changed.replace(b"E" * UID_LENGTH, series_uid.encode())
        changed = changed.replace(b"I" * UID_LENGTH, new_uid().encode())
        (made / f"{number:04d}.dcm").write_bytes(changed)
    return study_uid, made


def new_uid() -> str:
    """A UID of `UID_LENGTH` characters."""
    return generate_uid(prefix="1.2.826.0.1.3680043.8.498.").ljust(UID_LENGTH, "1")[:UID_LENGTH]


def template(folder: Path) -> list[bytes]:
    """The bundled images with placeholders where their UIDs stand."""
    if not folder.is_dir():
        folder.mkdir()
        for path in demo_study.IMAGES:
            image = dcmread(path)
            image["StudyInstanceUID"]._value = "S" * UID_LENGTH
            image["SeriesInstanceUID"]._value = "E" * UID_LENGTH
            image["SOPInstanceUID"]._value = "I" * UID_LENGTH
            image.file_meta["MediaStorageSOPInstanceUID"]._value = "I" * UID_LENGTH
            image.save_as(folder / path.name)
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def latencies(here: Site, rounds: int) -> list[Figure]:
    """One study at a time, and where its time went."""
    uids = []
    for number in range(rounds):
        uids.append(here.send())
        here.wait(number + 2)
        here.clear_pacs()
    split = [stages(here.working, uid) for uid in uids]
    totals = [sum(one.values()) for one in split]
    whole = one_figure("last image to results stored, quiet time excluded", "s", totals)
    median = whole.median(harness.OURS)
    wanted = f"at most {MOST_SECONDS} s"
    whole = replace(whole, wanted=wanted, kept=median <= MOST_SECONDS)
    parts = [one_figure(f"of which: {name}", "s", [one[name] for one in split]) for name in STAGES]
    return [whole, *parts]


def one_figure(what: str, unit: str, values: Sequence[float]) -> Figure:
    """A figure without a peer."""
    return Figure(what=what, unit=unit, values={harness.OURS: values})


def stages(node: RunningNode, uid: str) -> dict[str, float]:
    """Seconds of a study by stage, from its row and from the worker's log."""
    moments = [*row_moments(node, uid)]
    key = f"{uid}#1"
    started = {str(one["step"]): moment(one) for one in logged(node, "step_started", key)}
    moments += [started[name] for name in ("assemble", "analyse", "compose", "hand_over")]
    moments.append(started["deliver"])
    moments += [moment(one) for one in logged(node, "results_sent", key)]
    spans = (end - start for start, end in pairwise(moments))
    return dict(zip(STAGES, spans, strict=True))


def logged(node: RunningNode, action: str, key: str) -> list[dict[str, object]]:
    """What the worker said of a study."""
    return [record for record in node.events(action) if record.get("study") == key]


def moment(record: Mapping[str, object]) -> float:
    """When something was logged, in seconds."""
    return datetime.fromisoformat(str(record["time"])).timestamp()


def row_moments(node: RunningNode, uid: str) -> tuple[float, float]:
    """When the quiet time after the last image was over, and when the study counted as complete."""
    database = open_database(node.url)
    try:
        with database.read() as session:
            columns = tables.study.c
            row = session.execute(
                select(columns.last_received_at, columns.completed_at).where(
                    columns.study_uid == uid
                )
            ).one()
    finally:
        database.close()
    return row.last_received_at.timestamp() + QUIET_SECONDS, row.completed_at.timestamp()


def sustained(here: Site, minutes: float) -> list[Figure]:
    """Keep the node busy, and count what it finishes."""
    before, used = here.count(*TERMINAL_STATES), processor_seconds(here)
    began = time.monotonic()
    until = began + minutes * 60.0
    while time.monotonic() < until:
        if here.count() - here.count(*TERMINAL_STATES) < AHEAD:
            here.send()
        else:
            here.clear_pacs()
            time.sleep(0.1)
    ended, seconds = here.count(*TERMINAL_STATES) - before, time.monotonic() - began
    spent = processor_seconds(here)
    failed = here.count(*(TERMINAL_STATES - {StudyState.DELIVERED}))
    rate = ended / seconds * 3600.0
    whole = one_figure(f"studies an hour, sustained for {minutes:g} min", "/h", [rate])
    whole = replace(
        whole,
        more_is_better=True,
        wanted=f"at least {LEAST_STUDIES:,}",
        kept=rate >= LEAST_STUDIES and failed == 0,
        remark=f"{ended} studies, {failed} of them not delivered",
    )
    shares = [
        one_figure(f"processor time a study: {name}", "s", [(spent[name] - used[name]) / ended])
        for name in here.nodes
    ]
    peaks = [one_figure(f"peak memory: {n}", "MB", [peak_mb(one)]) for n, one in here.nodes.items()]
    return [whole, *shares, *peaks]


def processor_seconds(here: Site) -> dict[str, float]:
    """What each process of the node has used so far, its ended children included."""
    return {name: _ticks(node) / 100.0 for name, node in here.nodes.items()}


def _ticks(node: RunningNode) -> int:
    assert node.process is not None
    stat = Path(f"/proc/{node.process.pid}/stat").read_text()
    return sum(map(int, stat.rpartition(")")[2].split()[11:15]))


def peak_mb(node: RunningNode) -> float:
    """The most memory the node's process ever had."""
    assert node.process is not None
    return harness.peak_mb(node.process.pid)


if __name__ == "__main__":
    sys.exit(main())

"""A real node in a process of its own, to be asked, killed and started again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agent.dicom.peer import Destination
from agent.dicom.transport import AnyDestination
from preloaded import Forked
from storage import results, studies
from storage.database import open_database
from storage.enums import TERMINAL_STATES, StudyState
from storage.records import Analysis, Delivery, ResultObject, SeriesDecision, Study

AE_TITLE = "NEUROSIEVE"
START_SECONDS = 60.0
LOOK_SECONDS = 0.05


Launch = Callable[[list[str], Path], subprocess.Popen[str] | Forked]


def spawned(arguments: list[str], log: Path) -> subprocess.Popen[str]:
    """`neurosieve` with these arguments; its errors are appended to the log."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NEUROSIEVE_")}
    with log.open("a", encoding="utf-8") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "agent.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )


@dataclass(kw_only=True)
class RunningNode:
    """One `neurosieve serve`, `listen` or `work` with its own folder and log."""

    folder: Path
    destinations: tuple[AnyDestination, ...] = ()
    profiles: dict[str, list[str]] = field(default_factory=dict)  # TOML lines by destination
    node: tuple[str, ...] = ()  # more TOML lines of that section
    host: str = "127.0.0.1"
    role: str = "serve"
    slot: str = "0"
    lease_seconds: float = 30.0
    results: tuple[str, ...] = ()  # TOML lines
    work: tuple[str, ...] = ()  # TOML lines
    status: tuple[str, ...] = ("enabled = false",)  # TOML lines; many nodes run side by side
    logging: tuple[str, ...] = ('format = "json"',)  # TOML lines; `events` reads JSON alone
    quiet_seconds: float = 0.5
    completion: tuple[str, ...] = ("wait_seconds = 5.0",)  # more TOML lines of that section
    peers: tuple[str, ...] = ()  # TOML lines, each table with its heading
    database_url: str = ""
    retry_seconds: float = 0.5
    commitment_seconds: float = 600.0
    maximum_tries: int = 20
    watermark_percent: float = 100.0
    port: int = 0
    launch: Launch = spawned
    process: subprocess.Popen[str] | Forked | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """Everything the node ever logged, over all its starts."""
        return self.folder / f"{self._name}.log"

    @property
    def _name(self) -> str:
        return self.role if self.slot == "0" else f"{self.role}-{self.slot}"

    @property
    def address(self) -> Destination:
        """The node as a destination of images."""
        return Destination(name="node", ae_title=AE_TITLE, host=self.host, port=self.port)

    @property
    def url(self) -> str:
        """Where the node keeps its rows."""
        return self.database_url or f"sqlite:///{self.folder / 'data' / 'neurosieve.db'}"

    def write_configuration(self) -> Path:
        """The TOML file that this node is started with."""
        lines = [
            "[node]",
            *self.node,
            f'ae_title = "{AE_TITLE}"',
            f'host = "{self.host}"',
            f"port = {self.port}",
            f'data_dir = "{(self.folder / "data").as_posix()}"',
            f'database_url = "{self.database_url}"',
            f'slot = "{self.slot}"',
            "reserve_gb = 0.0",
            f"watermark_percent = {self.watermark_percent}",
            "[completion]",
            f"quiet_seconds = {self.quiet_seconds}",
            *self.completion,
            "[work]",
            "first_retry_seconds = 0.1",
            f"lease_seconds = {self.lease_seconds}",
            *self.work,
            "[results]",
            *self.results,
            "[delivery]",
            f"first_retry_seconds = {self.retry_seconds}",
            f"maximum_tries = {self.maximum_tries}",
            "longest_retry_seconds = 1.0",
            f"commitment_seconds = {self.commitment_seconds}",
            "[model]",
            'provider = "cpu"',
            "[status]",
            *self.status,
            "[log]",
            *self.logging,
            *self.peers,
        ]
        for peer in self.destinations:
            lines += _destination(peer)
            if peer.name in self.profiles:
                lines += ["[destinations.results]", *self.profiles[peer.name]]
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{self._name}.toml"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return file

    def start(self) -> None:
        """Start and wait until the node says that it is ready; it keeps its port over restarts."""
        configuration = self.write_configuration()
        self.process = self.launch([self.role, "--config", str(configuration)], self.log)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:  # it ended instead
            self._reap()
        assert line.startswith(f"ready ae={AE_TITLE}"), f"{line!r}\n{self.log.read_text()}"
        if " port=" in line:
            self.port = int(line.rsplit("port=", 1)[1])

    def kill(self) -> None:
        """End it as a power cut would, as far as a process can tell."""
        assert self.process is not None
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """End it as a service manager would; return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What `neurosieve` answers with this node's configuration."""
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "agent.cli",
                *words,
                "--config",
                str(self.write_configuration()),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _reap(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.process = None
        return code

    def events(self, action: str) -> list[dict[str, object]]:
        """The log records of one kind so far."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines if line.startswith("{")]
        return [record for record in records if record.get("action") == action]

    def wait_for_event(self, action: str, *, timeout_seconds: float = 60.0, **fields: str) -> None:
        """Wait until the node has logged this."""

        def seen() -> bool:
            return any(
                all(record.get(name) == value for name, value in fields.items())
                for record in self.events(action)
            )

        wait_until(seen, timeout_seconds=timeout_seconds, what=f"{action} {fields}")

    def view(self) -> "View":
        """What the node's database says now."""
        database = open_database(self.url)
        try:
            with database.read() as session:
                listed = studies.list_studies(session)
                keys = [study.key for study in listed]
                return View(
                    studies=tuple(listed),
                    instance_count=sum(len(studies.instances_of(session, key)) for key in keys),
                    analyses=tuple(results.analysis_of(session, key) for key in keys),
                    decisions=tuple(
                        one for key in keys for one in studies.series_decisions(session, key)
                    ),
                    objects=tuple(one for key in keys for one in results.objects_of(session, key)),
                    deliveries=tuple(
                        one for key in keys for one in results.deliveries_of(session, key)
                    ),
                )
        finally:
            database.close()

    def wait_for_end(self, *, studies_expected: int = 1, timeout_seconds: float = 120.0) -> "View":
        """Wait until that many studies are known and each has ended."""

        def ended() -> bool:
            states = [study.state for study in self.view().studies]
            return len(states) >= studies_expected and set(states) <= TERMINAL_STATES

        wait_until(
            ended,
            timeout_seconds=timeout_seconds,
            what=lambda: f"the end of the study\n{self.log.read_text()[-4000:]}",
        )
        return self.view()


def _destination(peer: AnyDestination) -> list[str]:
    lines = ["[[destinations]]", f'name = "{peer.name}"']
    if isinstance(peer, Destination):
        return [
            *lines,
            f'ae_title = "{peer.ae_title}"',
            f'host = "{peer.host}"',
            f"port = {peer.port}",
        ]
    lines += ['transport = "stow"', f'url = "{peer.url}"']
    if peer.password:
        lines += [
            f'username = "{peer.username}"',
            f'password = "{peer.password.get_secret_value()}"',
        ]
    return lines


@dataclass(frozen=True, kw_only=True)
class View:
    """Everything the database says, newest study first."""

    studies: tuple[Study, ...]
    instance_count: int
    analyses: tuple[Analysis | None, ...]
    decisions: tuple[SeriesDecision, ...]
    objects: tuple[ResultObject, ...]
    deliveries: tuple[Delivery, ...]

    @property
    def states(self) -> list[StudyState]:
        """The states of all studies."""
        return [study.state for study in self.studies]


@contextmanager
def running(node: RunningNode) -> Iterator[RunningNode]:
    """A started node, killed at the end if it still lives."""
    node.start()
    try:
        yield node
    finally:
        if node.process is not None:
            node.kill()


def wait_until(
    condition: Callable[[], bool], *, timeout_seconds: float, what: str | Callable[[], str]
) -> None:
    """Wait for a condition; fail with what was waited for."""
    end = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(
                f"waited {timeout_seconds} s for {what if isinstance(what, str) else what()}"
            )
        time.sleep(LOOK_SECONDS)

"""Node processes forked from one that has imported everything, for runs that start hundreds.

Each is a process of its own that runs the command as `python -m agent.cli` would, but spares the
seconds that imports take. Run as a script it is the process that is forked from.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

LOOK_SECONDS = 0.01


class Forked:
    """One such process, as `subprocess.Popen` would show it."""

    def __init__(self, pid: int, stdout: TextIO) -> None:
        self.pid = pid
        self.stdout = stdout

    def poll(self) -> int | None:
        """None while it lives; how it ended is not known."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0
        return None

    def send_signal(self, number: int) -> None:
        """As of Popen."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        if self.poll() is None:
            self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float) -> int:
        """Wait for its end."""
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.pid} still lives")
            time.sleep(LOOK_SECONDS)
        return 0


class Preloaded:
    """Starts such processes, inside a `with` block."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="nsv-fork-")
        self._count = 0
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
        self._folder.cleanup()

    def launch(self, arguments: Sequence[str], log: Path) -> Forked:
        """Run `neurosieve` with these arguments; its errors are appended to the log."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._count += 1
        answers = Path(self._folder.name) / f"{self._count}"
        os.mkfifo(answers)
        order = {"arguments": [*arguments], "log": str(log), "answers": str(answers)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        return Forked(pid, answers.open(encoding="utf-8"))


def _run(arguments: list[str], log: str, answers: str) -> None:
    """In the child: become `neurosieve`."""
    from agent.cli import app

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
    os.dup2(os.open(answers, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        app(arguments)
    except SystemExit as end:
        os._exit(int(end.code or 0))
    os._exit(0)


def _serve() -> None:
    """Fork whenever asked, until standard input ends."""
    from agent import bootstrap, logs, replay, settings  # noqa: F401  so that children have them

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the dead
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _run(**json.loads(line))
        print(pid, flush=True)


if __name__ == "__main__":
    _serve()

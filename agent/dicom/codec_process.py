"""The decoding child process as its parent sees it: one a series, started before it is needed.

To start takes a child longer than to decode most series. So, once one was needed, the next waits
with everything imported. Each decodes one series within limits of its own and ends: what the data
of one patient did to a codec never meets those of another.
"""

import atexit
import os
import subprocess
import sys
import threading
from pathlib import Path

from agent.dicom import codec_child

_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # threads cost address space

Child = subprocess.Popen[bytes]

_lock = threading.Lock()
_waiting: list[Child] = []  # at most one


def run(folder: Path, *, wall_seconds: float) -> int | None:
    """Let a child decode what lies in the folder; its exit code, None where time ran out."""
    child = _next()
    try:
        child.communicate(f"{folder}\n".encode(), timeout=wall_seconds)
        return child.returncode
    except subprocess.TimeoutExpired:
        _end(child)
        return None
    finally:
        _prepare()


def _command() -> list[str]:
    # -P: without the folder of that file in front of the paths, where our modules have their names.
    return [sys.executable, "-P", str(Path(codec_child.__file__))]


def _start() -> Child:
    return subprocess.Popen(
        _command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | _ONE_THREAD,
    )


def _next() -> Child:
    """The child that waits, if it still does."""
    with _lock:
        child = _waiting.pop() if _waiting else None
    if child is None:
        return _start()
    if child.poll() is None and child.args == _command():
        return child
    _end(child)
    return _start()


def _prepare() -> None:
    """Let one wait for the next series."""
    with _lock:
        if not _waiting:
            _waiting.append(_start())


def _end(child: Child) -> None:
    child.kill()
    child.communicate()


def _forget() -> None:
    """In a process that was forked off: the child belongs to the other one."""
    _waiting.clear()


@atexit.register
def _end_waiting() -> None:
    """One that is left behind would end by itself, because its input does."""
    while _waiting:
        _end(_waiting.pop())


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget)

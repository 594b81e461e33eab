"""What a process of the node forbids itself, asked of the kernel."""

import ctypes
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

_PR_GET_DUMPABLE = 3


@pytest.mark.skipif(sys.platform != "linux", reason="the mark is Linux's")
def test_a_process_that_forbids_core_dumps_may_not_be_dumped() -> None:
    ask = (
        "import ctypes, resource; from agent import confinement; confinement.forbid_core_dumps()\n"
        f"print(*resource.getrlimit({resource.RLIMIT_CORE}),"
        f" ctypes.CDLL(None).prctl({_PR_GET_DUMPABLE}, 0, 0, 0, 0))"
    )

    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["0", "0", "0"]
    assert ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 1  # without it


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_files_made_from_then_on_are_for_the_owner_alone(tmp_path: Path) -> None:
    make = (
        "import os, sqlite3, sys; from agent import confinement; os.umask(0o022)\n"
        "confinement.keep_files_private(); os.makedirs('folder')\n"
        "sqlite3.connect('rows.db').execute('CREATE TABLE t (n)')"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, check=True, env=environment)

    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    assert modes == {"folder": 0o700, "rows.db": 0o600}

"""Walk a manual: run its ```console blocks one after the other, and say how long each command took.

    python deploy/tools/walk.py deploy/docs/manual.md [--install] [--replace OLD=NEW ...]

In the current folder, in one shell, to the first command that fails. `--install` runs the ```shell
blocks of the chapter "Install" too. `--replace` changes a text of the manual, such as a port that
is taken. What is started in the background is ended by the file `pid` that the manual keeps beside
it.
"""

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

_BLOCK = re.compile(r"^```(console|shell)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INSTALL = "Install"
_FUNCTION = """\
walked() {
  code=$?
  awk -v from="$begun" -v to="$EPOCHREALTIME" -v code="$code" \\
    'BEGIN { printf "# %.1f s%s\\n\\n", to - from, code ? ", exit code " code : "" }'
  [ "$code" -eq 0 ] || exit "$code"
}
"""


def commands(manual: str, *, install: bool = False) -> Iterator[str]:
    """Each command; one that holds a document goes over several lines."""
    for chapter in re.split(r"^#{2,3} ", manual, flags=re.MULTILINE):
        title = chapter.partition("\n")[0]
        for kind, text in _BLOCK.findall(chapter):
            if kind == "console" or (install and title.endswith(_INSTALL)):
                yield from (one.rstrip() for one in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:])


def script(lines: Iterable[str]) -> str:
    """A shell script that shows each command, runs it, and ends where one fails."""
    steps = (
        f"printf '%s\\n' {shlex.quote('$ ' + line)}\nbegun=$EPOCHREALTIME\n{line}\nwalked\n"
        for line in lines
    )
    return _FUNCTION + "".join(steps)


def walk(text: str, folder: Path, environment: dict[str, str], output: TextIO | None = None) -> int:
    """Run a script in a folder, and end what it has left running. The exit code."""
    before = set(folder.glob("*/pid"))
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write(text)
        file.flush()
        try:
            # Its exit is waited for, not the end of its output: what it started holds that open.
            return subprocess.call(
                ["bash", file.name],
                cwd=folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
            )
        finally:
            for left in sorted(set(folder.glob("*/pid")) - before, reverse=True):
                _end(int(left.read_text()))
                left.unlink()


def _end(process: int) -> None:
    try:
        os.kill(process, signal.SIGTERM)
    except ProcessLookupError:
        print(f"{process} had ended before")


def main() -> int:
    """Walk the manual that is named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("manual", type=Path)
    parser.add_argument("--replace", action="append", default=[], metavar="OLD=NEW")
    parser.add_argument("--install", action="store_true")
    given = parser.parse_args()
    text = given.manual.read_text("utf-8")
    for pair in given.replace:
        old, _, new = pair.partition("=")
        text = text.replace(old, new)
    lines = commands(text, install=given.install)
    return walk(script(lines), Path.cwd(), dict(os.environ))


if __name__ == "__main__":
    sys.exit(main())

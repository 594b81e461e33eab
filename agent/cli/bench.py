"""`neurosieve bench`: measure this machine, beside the peers that are installed on it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.border import one_sentence, say

SCRIPTS = Path(__file__).resolve().parents[2] / "tests" / "benchmarks"


class Part(StrEnum):
    """What can be measured; each is a script of that name."""

    RECEIVE = "receive"
    INFER = "infer"
    COMPOSE = "compose"
    STUDY = "study"
    DATABASE = "database"
    SCALE = "scale"
    MEMORY = "memory"


@one_sentence
def bench(
    parts: Annotated[
        list[Part] | None, typer.Argument(help="What to measure; without it everything.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for the figures, as JSON and one table.")
    ] = Path("bench-out"),
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Interleaved rounds; without it each part's own.")
    ] = None,
) -> None:
    """Measure receiving, inference, objects, whole studies and the database on this machine.

    Ours and the peers that are installed (Orthanc, DCMTK, torch) run in turns; the ratio comes
    first. Takes minutes: stop other work before. Exit code 1 where a figure missed what is asked.

    Example: neurosieve bench receive infer
    """
    import subprocess
    import sys

    if not SCRIPTS.is_dir():
        raise FileNotFoundError(
            "The benchmarks come with the source, not with the installed package; "
            "run `make bench` in a checkout."
        )
    code = 0
    for part in parts or list(Part):
        say(f"{part}:")
        words = [str(SCRIPTS / f"{part}.py"), "--json", str(out / f"{part}.json")]
        words += ["--rounds", str(rounds)] if rounds else []
        code = max(code, subprocess.run([sys.executable, *words], check=False).returncode)
    subprocess.run([sys.executable, str(SCRIPTS / "harness.py"), str(out)], check=True)
    if code:
        raise typer.Exit(1)

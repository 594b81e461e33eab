"""What every benchmark shares: interleaved runs, ratios to peers, one table and one JSON file.

A benchmark is a script with `main()`, run as `python tests/benchmarks/NAME.py [--rounds N] [--json
FILE]`, by `neurosieve bench NAME` or by `make bench`. It measures ours and the peer in turns, in
one go, and hands its `Figure`s to `report`.
"""

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

OURS = "NeuroSieve"
QUICK_ENVIRONMENT = os.environ | {"TCP_NODELAY": "1"}  # for every DCMTK and Orthanc process


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One thing that was measured: `values` of each contestant, in `unit`, a value a round.

    `ours` is the contestant that the ratios are of; a figure with one contestant has no ratio. A
    ratio above 1 always means that ours is the better one. `wanted` is the ratio or the value that
    was asked for, as a sentence; `kept` whether it was reached. `remark` is for the reader.
    """

    what: str
    unit: str
    values: Mapping[str, Sequence[float]]
    ours: str = OURS
    more_is_better: bool = False
    wanted: str = ""
    kept: bool | None = None
    remark: str = ""

    def ratio(self, peer: str) -> float:
        """How many times better than that peer, by the medians."""
        ours, theirs = statistics.median(self.values[self.ours]), self.median(peer)
        return ours / theirs if self.more_is_better else theirs / ours

    def median(self, name: str) -> float:
        """The middle of a contestant's rounds."""
        return statistics.median(self.values[name])


@dataclass(frozen=True, kw_only=True)
class Report:
    """All figures of one benchmark, and where and when they were measured."""

    benchmark: str
    figures: Sequence[Figure]
    missing: Sequence[str] = ()  # peers that are not installed here, each with what to install
    command: str = field(default_factory=lambda: command())
    machine: str = field(default_factory=lambda: machine())
    measured_at: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    version: str = field(default_factory=lambda: metadata.version("neurosieve"))


def parser(description: str | None, *, rounds: int = 5) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    made = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    made.add_argument("--rounds", type=int, default=rounds, help="interleaved rounds")
    made.add_argument("--json", type=Path, help="write the figures there too")
    return made


def in_turns(contestants: Mapping[str, Callable[[], T]], *, rounds: int) -> Iterator[tuple[str, T]]:
    """Run all contestants in turns; the order alternates, so that none always comes first."""
    for number in range(rounds):
        names = sorted(contestants, key=list(contestants).index, reverse=number % 2 == 1)
        for name in names:
            yield name, contestants[name]()


def interleave(
    contestants: Mapping[str, Callable[[], float]], *, rounds: int
) -> dict[str, list[float]]:
    """The values of all contestants, each run `rounds` times, in turns."""
    values: dict[str, list[float]] = {name: [] for name in contestants}
    for name, value in in_turns(contestants, rounds=rounds):
        values[name].append(value)
    return values


def report(made: Report, file: Path | None) -> int:
    """Print the table, write the file; 1 when a wanted figure was missed, else 0."""
    print(table(made))
    for one in made.missing:
        print(f"not measured: {one}", file=sys.stderr)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(as_json(made), indent=1) + "\n", "utf-8")
    return int(any(figure.kept is False for figure in made.figures))


def as_json(made: Report) -> dict[str, Any]:
    """The report as plain values; `from_json` reads it back."""
    return {**vars(made), "figures": [vars(figure) for figure in made.figures]}


def from_json(text: str) -> Report:
    """A report that `as_json` made."""
    read = json.loads(text)
    return Report(**{**read, "figures": [Figure(**figure) for figure in read["figures"]]})


def table(made: Report) -> str:
    """Markdown: the ratio first, then medians with their ranges."""
    lines = ["| what | ratio | figures | asked for |", "|---|---|---|---|"]
    return "\n".join([*lines, *(_row(figure) for figure in made.figures)])


def main() -> None:
    """Put all figures of a folder into one document, `benchmarks.md`."""
    folder = Path(sys.argv[1])
    (folder / "benchmarks.md").write_text(tables(folder), "utf-8")
    print(folder / "benchmarks.md")


def tables(folder: Path) -> str:
    """A table for each benchmark whose JSON file is there, with where and when it was measured."""
    reports = [from_json(file.read_text("utf-8")) for file in sorted(folder.glob("*.json"))]
    return "\n".join(
        f"`{one.command}` on {one.machine}; {one.measured_at}\n\n{table(one)}\n" for one in reports
    )


def _row(figure: Figure) -> str:
    peers = [name for name in figure.values if name != figure.ours]
    ratios = "; ".join(f"**{figure.ratio(peer):.2f}** x {peer}" for peer in peers)
    figures = "; ".join(
        f"{f'{name} ' if peers else ''}{spread(values)} {figure.unit}"
        for name, values in figure.values.items()
    )
    remark = f" ({figure.remark})" if figure.remark else ""
    answer = {True: ": yes", False: ": **no**", None: ""}[figure.kept]
    return f"| {figure.what} | {ratios} | {figures}{remark} | {figure.wanted}{answer} |"


def spread(values: Sequence[float]) -> str:
    """Median, and the range where there is one."""
    middle = _plain(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} [{_plain(min(values))} to {_plain(max(values))}]"


def _plain(value: float) -> str:
    """Three figures that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def command() -> str:
    """What was typed to measure this, without the place of the figures."""
    words = list(sys.argv[1:])
    if "--json" in words:
        place = words.index("--json")
        del words[place : place + 2]
    script = Path(sys.argv[0]).name
    return " ".join(["python", f"tests/benchmarks/{script}", *words])


def peak_mb(process: int | str) -> float:
    """The most memory a process has had, "self" for this one; getrusage counts parents as well."""
    status = Path(f"/proc/{process}/status").read_text("utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1e3


def machine() -> str:
    """What the figures hold for: processor, cores, card, system, Python."""
    parts = [_processor(), f"{os.cpu_count()} cores", *_cards(), platform.system()]
    return ", ".join([*parts, f"Python {platform.python_version()}"])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _cards() -> list[str]:
    """The names of NVIDIA cards, as their driver tells them."""
    found = []
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in file.read_text("utf-8").splitlines():
            if line.startswith("Model:"):
                found.append(line.partition(":")[2].strip())
    return found


if __name__ == "__main__":
    main()

"""Damaged and hostile data sets through the front door and the reading side of the worker.

`python tests/benchmarks/fuzz_datasets.py --count 20000 --seed 1 --seconds 1200`. The cases run in a
process of their own under a watchdog. A fault is an exception that is none of ours, the end of that
process, or a case of more than 5 s; each is written to `--keep` as a file that `test_crashers` can
replay. The last line is the result.
"""

import argparse
import multiprocessing
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import encoded_images
import mutations
import whole_reading
from encoded_images import Encoded

HANG_SECONDS = 5.0
START_SECONDS = 60.0
COMPRESSED_SHARE = 0.15  # each of them costs a process
Series = list[list[Encoded]]


@dataclass(kw_only=True)
class Tally:
    """What came of the cases."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    start_bytes: int = 0
    peak_bytes: int = 0


def main() -> None:
    """Run the cases, print what became of them, and fail when there was a fault."""
    asked = _arguments()
    tally = Tally()
    began = time.monotonic()
    number = asked.first
    while number < asked.first + asked.count and time.monotonic() < began + asked.seconds:
        number = _watched(number, asked, began, tally)
    print(*(f"{count:7} {name}" for name, count in tally.outcomes.most_common()), sep="\n")
    print(*tally.faults, sep="\n")
    print(
        f"{sum(tally.outcomes.values())} data sets in {time.monotonic() - began:.0f} s: "
        f"{len(tally.faults)} faults, slowest {tally.slowest_seconds:.1f} s, memory "
        f"{tally.start_bytes / 1e6:.0f} MB before, {tally.peak_bytes / 1e6:.0f} MB at most"
    )
    sys.exit(bool(tally.faults))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1200.0)
    parser.add_argument("--keep", type=Path, default=None, help="folder for what caused a fault")
    return parser.parse_args()


def _watched(number: int, asked: argparse.Namespace, began: float, tally: Tally) -> int:
    """Run cases until the end or a fault that ends their process; the number of the next case."""
    ours, theirs = multiprocessing.Pipe()
    last = asked.first + asked.count
    process = multiprocessing.get_context("spawn").Process(
        target=_run, args=(theirs, number, last, asked.seed, asked.keep), daemon=True
    )
    process.start()
    theirs.close()
    patience = START_SECONDS
    try:
        while time.monotonic() < began + asked.seconds:
            if not ours.poll(patience):
                tally.faults.append(f"case {number}: no end after {HANG_SECONDS:.0f} s")
                return number + 1
            kind, *said = ours.recv()
            patience = HANG_SECONDS + 1.0
            if kind == "ready":
                tally.start_bytes = tally.start_bytes or said[0]
                continue
            number += 1
            _count(kind, said, number - 1, tally)
    except EOFError:
        if number < last:
            tally.faults.append(f"case {number}: the process ended")
            return number + 1
    finally:
        process.kill()
        process.join()
    return number


def _count(kind: str, said: list[float], number: int, tally: Tally) -> None:
    seconds, peak_bytes = said
    tally.outcomes[kind.splitlines()[0]] += 1
    tally.slowest_seconds = max(tally.slowest_seconds, seconds)
    tally.peak_bytes = max(tally.peak_bytes, int(peak_bytes))
    if kind.startswith("FAULT") or seconds > HANG_SECONDS:
        tally.faults.append(f"case {number}, {seconds:.1f} s: {kind}")


def _run(results: Connection, first: int, last: int, seed: int, keep: Path | None) -> None:
    """The watched process: one message a case."""
    warnings.simplefilter("ignore")
    every = encoded_images.every_series()
    results.send(("ready", _peak_bytes()))
    for number in range(first, last):
        images = case(every, seed, number)
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            try:
                kind = whole_reading.outcome(images, Path(folder), report=number % 4 == 0)
            except Exception as error:  # noqa: BLE001 - what the search is for
                where = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"FAULT {type(error).__name__} in {where.name}\n{traceback.format_exc()}"
        seconds = time.perf_counter() - began
        if keep and (kind.startswith("FAULT") or seconds > HANG_SECONDS):
            (keep / f"{seed}-{number}.dcm").write_bytes(whole_reading.file_of(images[0]))
        results.send((kind, seconds, _peak_bytes()))


def case(every: Series, seed: int, number: int) -> list[Encoded]:
    """A damaged image, alone or with others of its series that are whole."""
    chance = random.Random(f"{seed}/{number}")
    compressed = chance.random() < COMPRESSED_SHARE
    fitting = [series for series in every if _is_compressed(series) == compressed]
    series = chance.choice(fitting)
    place = chance.randrange(len(series))
    others = [image for at, image in enumerate(series) if at != place]
    damaged = mutations.mutated(series[place], chance)
    return [damaged, *(others if chance.random() < 0.5 else [])]


def _is_compressed(series: list[Encoded]) -> bool:
    return series[0].syntax.startswith(("1.2.840.10008.1.2.4", "1.2.840.10008.1.2.5"))


def _peak_bytes() -> int:
    """The largest that this process, or one of its children, has been in memory."""
    kilobytes = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return kilobytes * 1024


if __name__ == "__main__":
    main()

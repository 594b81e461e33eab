"""Spoilt PDUs against a real listener: `python tests/benchmarks/fuzz_pdus.py --count 100000`.

Prints what was sent, how the node's memory went, its slowest answer to an honest C-ECHO in between,
and every case after which it crashed, hung or logged a traceback; those are kept with `--keep`.
"""

import argparse
import hashlib
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pdu_fuzz
import strangers
from agent.dicom import sender
from agent.errors import PeerError
from running import RunningNode, running

MIB = 1024 * 1024
SENDERS = 6
LOOK_SECONDS = 2.0
MEMORY_MIB = 64  # more growth than this counts as a leak
TRACES = ("Traceback", '"error":')


@dataclass(kw_only=True)
class Findings:
    """What came of it."""

    slowest_echo: float = 0.0
    slowest_case: float = 0.0
    highest_mib: float = 0.0
    bad: list[str] = field(default_factory=list)
    recent: deque[pdu_fuzz.Case] = field(default_factory=lambda: deque(maxlen=400))
    suspects: list[pdu_fuzz.Case] = field(default_factory=list)


def main() -> int:
    """Print the findings; exit code 1 where one is bad."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="PDUs to send")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--minutes", type=float, default=30.0, help="stop after so long")
    parser.add_argument("--keep", type=Path, help="folder for the connections behind a bad finding")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="neurosieve-fuzz-") as scratch:
        node = RunningNode(folder=Path(scratch) / "node", role="listen", quiet_seconds=3600.0)
        with running(node):
            found = fuzz(node, count=wanted.count, seed=wanted.seed, minutes=wanted.minutes)
    for sentence in found.bad:
        print("BAD", sentence)
    if wanted.keep:
        for case in found.suspects:
            name = hashlib.sha256(case.stream).hexdigest()[:16]
            wanted.keep.mkdir(parents=True, exist_ok=True)
            (wanted.keep / f"{name}.bin").write_bytes(case.stream)
    return 1 if found.bad else 0


def fuzz(node: RunningNode, *, count: int, seed: str, minutes: float) -> Findings:
    """Send that many PDUs from several addresses while an honest sender asks now and then."""
    assert node.process is not None
    pid = node.process.pid
    real = pdu_fuzz.corpus()
    found = Findings()
    sender.echo(node.address, calling_ae="MODALITY")
    for number in range(200):  # to warm up, so that what grows afterwards is a leak
        pdu_fuzz.send(node.port, pdu_fuzz.case(real, f"warm-{number}"))
    before = strangers.resident_bytes(pid) / MIB
    started = time.monotonic()
    numbers = iter(range(sys.maxsize))
    sent = connections = 0
    lock = threading.Lock()

    def is_over() -> bool:
        return sent >= count or time.monotonic() - started > minutes * 60 or bool(found.suspects)

    def attack(worker: int) -> None:
        nonlocal sent, connections
        while not is_over():
            with lock:
                number = next(numbers)
            case = pdu_fuzz.case(real, f"{seed}-{number}")
            with lock:
                found.recent.append(case)
            try:
                seconds = pdu_fuzz.send(
                    node.port,
                    case,
                    address=f"127.0.1.{worker + 1}",
                    waits=number % 4 > 0,
                )
            except TimeoutError:
                found.bad.append(f"case {seed}-{number} hung")
                found.suspects.append(case)
                return
            except OSError as error:
                found.bad.append(f"case {seed}-{number}: {error}")
                return
            with lock:
                sent += len(case.pdus)
                connections += 1
                found.slowest_case = max(found.slowest_case, seconds)

    with ThreadPoolExecutor(SENDERS) as pool:
        tasks = [pool.submit(attack, worker) for worker in range(SENDERS)]
        watch(node, found, lambda: is_over() or all(task.done() for task in tasks))
    time.sleep(1.0)
    look(node, found)
    after = strangers.resident_bytes(pid) / MIB
    if max(after, found.highest_mib) - before > MEMORY_MIB:
        found.bad.append(f"memory grew from {before:.0f} to {found.highest_mib:.0f} MiB")
    print(
        f"{sent} PDUs over {connections} connections in {time.monotonic() - started:.0f} s:"
        f" {len(found.bad)} bad findings; memory {before:.1f} MiB at first, {found.highest_mib:.1f}"
        f" at most, {after:.1f} at last; slowest honest C-ECHO {found.slowest_echo:.2f} s,"
        f" slowest end of a connection {found.slowest_case:.2f} s;"
        f" log {node.log.stat().st_size / 1024:.0f} KiB"
    )
    return found


def watch(node: RunningNode, found: Findings, is_over: Callable[[], bool]) -> None:
    """Look at the node until the attack is over."""
    while not is_over():
        time.sleep(LOOK_SECONDS)
        look(node, found)


def look(node: RunningNode, found: Findings) -> None:
    """Is it alive, does it answer, how large is it, what did it log?"""
    assert node.process is not None
    code = node.process.poll()
    if code is not None:
        found.bad.append(f"the node ended with {code}")
        found.suspects.extend(found.recent)
        return
    started = time.monotonic()
    try:
        sender.echo(node.address, calling_ae="MODALITY")
    except PeerError as error:
        found.bad.append(f"an honest C-ECHO was not answered: {error}")
    found.slowest_echo = max(found.slowest_echo, time.monotonic() - started)
    found.highest_mib = max(found.highest_mib, strangers.resident_bytes(node.process.pid) / MIB)
    log = node.log.read_text(encoding="utf-8", errors="replace")
    if any(trace in log for trace in TRACES):
        at = min(log.find(trace) for trace in TRACES if trace in log)
        found.bad.append(f"the log holds a traceback: {log[at : at + 1500]}")
        found.suspects.extend(found.recent)


if __name__ == "__main__":
    sys.exit(main())

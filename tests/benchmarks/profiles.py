"""Where the time goes: py-spy on a listener that four senders keep busy, and on a busy worker.

`python tests/benchmarks/profiles.py --seconds 20 --out bench-out`. Prints for each process the
functions that were running most often, with all they call and by themselves, as shares of the
samples in which any thread of it was running. py-spy comes with the extra `test`; it may need root.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import demo_study
from agent.demo.pacs import SimulatedPacs
from agent.dicom.peer import Destination
from benchmarks import harness
from running import RunningNode, running

SENDERS = 4
PER_SECOND = 200
SHOWN = 12
WAITING = re.compile(r"\((threading|selectors|socket)\.py")  # py-spy does not know it for idle
PLUMBING = re.compile(r"\((threading|.*/thread|.*/_core|.*/_outcome)\.py")


def main() -> None:
    """Profile both processes under load."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--seconds", type=int, default=20)
    asked.add_argument("--out", type=Path, default=Path("bench-out"))
    given = asked.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="neurosieve-profile-") as scratch:
        folder = Path(scratch)
        quiet = RunningNode(folder=folder / "listener", role="listen", quiet_seconds=3600.0)
        with running(quiet), sending(quiet, folder / "sent", senders=SENDERS):
            profile(quiet, "listener", given.out, seconds=given.seconds)
        with SimulatedPacs(folder / "pacs") as pacs:
            archive = Destination(
                name="pacs", ae_title=pacs.ae_title, host="127.0.0.1", port=pacs.port
            )
            busy = RunningNode(folder=folder / "node", destinations=(archive,))
            with running(busy), sending(busy, folder / "studies", senders=1):
                profile(busy, "node with its worker", given.out, seconds=given.seconds)


@contextmanager
def sending(node: RunningNode, folder: Path, *, senders: int) -> Iterator[None]:
    """Copies of the bundled study go in again and again, each as a study of its own."""
    ending = threading.Event()
    threads = [
        threading.Thread(target=send_until, args=(ending, node, folder / str(number)))
        for number in range(senders)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def send_until(ending: threading.Event, node: RunningNode, folder: Path) -> None:
    """One sender."""
    while not ending.is_set():
        write_copy(folder)
        words = ["storescu", "-R", "--max-pdu", "131072", "+sd", "127.0.0.1", str(node.port)]
        subprocess.run([*words, str(folder)], env=harness.QUICK_ENVIRONMENT, check=False)
        shutil.rmtree(folder)


def write_copy(folder: Path) -> None:
    """The bundled study under UIDs of its own."""
    folder.mkdir(parents=True)
    study_uid, series_uid = generate_uid(), generate_uid()
    for number, path in enumerate(demo_study.IMAGES):
        image = dcmread(path)
        image.StudyInstanceUID, image.SeriesInstanceUID = study_uid, series_uid
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.save_as(folder / f"{number:04d}.dcm")


def profile(node: RunningNode, name: str, out: Path, *, seconds: int) -> None:
    """Sample one process and print what it did."""
    assert node.process is not None
    file = out / f"{name.partition(' ')[0]}.folded"
    subprocess.run(
        [
            str(Path(sys.executable).with_name("py-spy")),
            "record",
            *("--pid", str(node.process.pid), "--duration", str(seconds)),
            *("--rate", str(PER_SECOND), "--format", "raw", "--output", str(file)),
        ],
        check=True,
        capture_output=True,
    )
    stacks = [line.rsplit(" ", 1) for line in file.read_text("utf-8").splitlines()]
    counted = [(stack.split(";"), int(count)) for stack, count in stacks]
    counted = [(frames, count) for frames, count in counted if not WAITING.search(frames[-1])]
    print(f"{name}: {sum(count for _, count in counted)} samples in {seconds} s")
    show("with all they call", counted, lambda frames: set(map(_function, frames)))
    show("by themselves", counted, lambda frames: {_function(frames[-1])})


def show(
    title: str, counted: list[tuple[list[str], int]], named: Callable[[list[str]], set[str]]
) -> None:
    """The functions with the largest shares."""
    total = sum(count for _, count in counted) or 1
    shares: Counter[str] = Counter()
    for frames, count in counted:
        for function in named(frames):
            shares[function] += 0 if PLUMBING.search(function) else count
    print(f"  {title}:")
    for function, count in shares.most_common(SHOWN):
        print(f"    {100 * count / total:5.1f} %  {function}")


def _function(frame: str) -> str:
    """`function (file.py)` without the line."""
    return frame.rpartition(":")[0] + ")" if ":" in frame else frame


if __name__ == "__main__":
    main()

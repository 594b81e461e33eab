"""Receivers of images that `receive.py` measures, what they cost, and the images sent to them."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from pathlib import Path

import numpy as np

import builders
from benchmarks.harness import OURS, QUICK_ENVIRONMENT, peak_mb
from orthanc import free_port, running_orthanc
from running import RunningNode, running

ORTHANC = "Orthanc (its defaults)"
STORESCP = "storescp (no fsync)"

_DIGITS = 12  # of a UID, which make it unique in each copy; they must not begin with a zero
_MARKS = [f"1.2.840.99999.{part}.{'9' * _DIGITS}" for part in ("1", "2", "3")]
_HEAD_BYTES = 8192  # the pixels, which are most of a file, stand behind the UIDs
_numbers = count(10 ** (_DIGITS - 1))
_SECOND_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """A running receiver: its port, its process, and how to rid it of what it has received."""

    port: int
    pid: int
    empty: Callable[[], None]

    def cpu_seconds(self) -> float:
        """Processor time of its threads, and of its children that have ended, so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return sum(int(ticks) for ticks in fields[11:15]) / _SECOND_TICKS

    def peak_megabytes(self) -> float:
        """The most memory it ever held."""
        return peak_mb(self.pid)

    def syncs(self, work: Callable[[], object]) -> int:
        """How often it calls fsync and fdatasync meanwhile; needs strace and the right to trace."""
        with tempfile.NamedTemporaryFile() as table:
            calls = "trace=fsync,fdatasync"
            tracing = subprocess.Popen(
                ["strace", "-f", "-c", "-e", calls, "-o", table.name, "-p", str(self.pid)],
                stderr=subprocess.DEVNULL,
            )
            try:
                time.sleep(1.0)  # until every thread is being traced
                work()
            finally:
                tracing.terminate()
                tracing.wait(timeout=30)
            lines = Path(table.name).read_text("utf-8").splitlines()
        return sum(int(line.split()[3]) for line in lines if re.search(r"\bf(data)?sync$", line))


@contextmanager
def receivers(scratch: Path) -> Iterator[dict[str, Receiver]]:
    """Our node and those of its peers that are installed."""
    with ExitStack() as stack:
        found = {OURS: stack.enter_context(_node(scratch / "node"))}
        if shutil.which("Orthanc"):
            found[ORTHANC] = stack.enter_context(_orthanc(scratch / "orthanc"))
        found[STORESCP] = stack.enter_context(_storescp(scratch / "storescp"))
        yield found


@contextmanager
def _node(folder: Path) -> Iterator[Receiver]:
    node = RunningNode(folder=folder, role="listen", quiet_seconds=3600.0)
    with running(node):
        images = folder / "data" / "images"
        assert isinstance(node.process, subprocess.Popen)
        yield Receiver(port=node.port, pid=node.process.pid, empty=lambda: _empty(images))


@contextmanager
def _orthanc(folder: Path) -> Iterator[Receiver]:
    with running_orthanc(folder) as orthanc:

        def empty() -> None:
            for patient in orthanc.get("/patients"):
                orthanc.read(f"/patients/{patient}", method="DELETE")

        yield Receiver(port=orthanc.dicom_port, pid=orthanc.pid, empty=empty)


@contextmanager
def _storescp(folder: Path) -> Iterator[Receiver]:
    folder.mkdir()
    port = free_port()
    process = subprocess.Popen(
        ["storescp", "--fork", "--max-pdu", "131072", "-od", str(folder), str(port)],
        env=QUICK_ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(0.5)
    try:
        yield Receiver(port=port, pid=process.pid, empty=lambda: _empty(folder))
    finally:
        process.terminate()
        process.wait(timeout=10)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


class Sender:
    """Sends images of one size that nobody has seen before, by DCMTK's storescu."""

    def __init__(self, scratch: Path, side: int) -> None:
        self._folder = scratch / f"sent-{side}"
        self._pattern = _pattern(side)

    def send(self, receiver: Receiver, *, images: int, associations: int) -> float:
        """So many images in all, over so many associations at once; how many seconds it took."""
        folders = self._write(images, associations)
        os.sync()  # what was written before is no part of this
        command = ["storescu", "-R", "--max-pdu", "131072", "127.0.0.1", str(receiver.port), "+sd"]
        started = time.monotonic()
        senders = [
            subprocess.Popen([*command, str(folder)], env=QUICK_ENVIRONMENT) for folder in folders
        ]
        failed = [one.args for one in senders if one.wait(timeout=300) != 0]
        seconds = time.monotonic() - started
        assert not failed, failed
        shutil.rmtree(self._folder)
        return seconds

    def _write(self, images: int, associations: int) -> list[Path]:
        """A study for each association, as scanners send side by side."""
        folders = []
        for number in range(associations):
            folder = self._folder / str(number)
            folder.mkdir(parents=True)
            study = next(_numbers)
            for image in range(images // associations):
                file = folder / f"{image:04d}.dcm"
                file.write_bytes(_copy(self._pattern, study=study, image=next(_numbers)))
            folders.append(folder)
        return folders


def _pattern(side: int) -> bytes:
    """A Part 10 file of one image, whose UIDs are to be replaced in each copy."""
    (dataset,) = builders.flair_series(slices=1, rows=side, columns=side)
    noise = np.random.default_rng(0).integers(0, 4096, (side, side), dtype=np.uint16)
    dataset.PixelData = noise.tobytes()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = _MARKS
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    return content.getvalue()


def _copy(pattern: bytes, *, study: int, image: int) -> bytes:
    """An image with UIDs of its own; they keep their length."""
    head, pixels = pattern[:_HEAD_BYTES], pattern[_HEAD_BYTES:]
    for mark, number in zip(_MARKS, (study, study, image), strict=True):
        head = head.replace(mark.encode(), f"{mark[:-_DIGITS]}{number:0{_DIGITS}}".encode())
    return head + pixels

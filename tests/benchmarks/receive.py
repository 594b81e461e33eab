"""Images received per second from DCMTK's storescu: our node beside DCMTK's storescp.

Interleaved runs on one machine, the ratio first: `python tests/benchmarks/receive.py`. Our node
syncs file and folder before it answers; storescp writes without syncing.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import builders
from orthanc import free_port
from running import RunningNode, running

IMAGES = 200
ROUNDS = 5
ENVIRONMENT = os.environ | {"TCP_NODELAY": "1"}


def main() -> None:
    """Print medians and ranges in images per second."""
    with tempfile.TemporaryDirectory(prefix="neurosieve-bench-") as scratch:
        images = write_images(Path(scratch) / "images")
        rates: dict[str, list[float]] = {"NeuroSieve": [], "storescp": []}
        node = RunningNode(folder=Path(scratch) / "node", role="listen", quiet_seconds=3600.0)
        with running(node), storescp(Path(scratch) / "peer") as peer_port:
            for _ in range(ROUNDS):
                rates["NeuroSieve"].append(rate(images, node.port))
                rates["storescp"].append(rate(images, peer_port))
                for kept in (node.folder / "data" / "images", Path(scratch) / "peer"):
                    empty(kept)  # so that all images are new again
        ours, peer = (statistics.median(rates[name]) for name in rates)
        print(f"ratio NeuroSieve : storescp = {ours / peer:.2f}")
        for name, values in rates.items():
            median, low, high = statistics.median(values), min(values), max(values)
            print(f"{name:10} {median:6.0f} images/s [{low:.0f} to {high:.0f}]")


def empty(folder: Path) -> None:
    """Remove everything in a folder."""
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def write_images(folder: Path) -> Path:
    """Images of 256 x 256, 132 kB each."""
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 4096, (256, 256), dtype=np.uint16)
    datasets: list[Dataset] = builders.flair_series(slices=IMAGES, rows=256, columns=256)
    for number, dataset in enumerate(datasets):
        dataset.PixelData = np.roll(noise, number).tobytes()
        dataset.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)
    return folder


@contextmanager
def storescp(folder: Path) -> Iterator[int]:
    """DCMTK's receiver."""
    folder.mkdir()
    port = free_port()
    arguments = ["storescp", "--max-pdu", "131072", "-od", str(folder), str(port)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(arguments, env=ENVIRONMENT, stdout=quiet, stderr=quiet)
    time.sleep(0.5)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


def rate(images: Path, port: int) -> float:
    """Images per second over one association."""
    arguments = ["storescu", "-R", "--max-pdu", "131072", "+sd", "127.0.0.1", str(port)]
    started = time.monotonic()
    subprocess.run([*arguments, str(images)], check=True, env=ENVIRONMENT, timeout=300)
    return IMAGES / (time.monotonic() - started)


if __name__ == "__main__":
    main()

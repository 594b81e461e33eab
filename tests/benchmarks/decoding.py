"""What it costs to decode a series in a child process: beside decoding it in this process.

`python tests/benchmarks/decoding.py --slices 24 --size 256 --rounds 5`. Interleaved runs on one
machine, medians and ranges; the ratio is for the decoding alone, which is a small part of a study.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import builders
from agent.dicom import decoding
from agent.dicom.frames import Frame

PAUSE_SECONDS = 2.0  # a node does other things between two series, while the next child starts
SYNTAXES = (uid.JPEGLSLossless, uid.JPEG2000Lossless, uid.RLELossless)


def main() -> None:
    """One line a transfer syntax."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    for syntax in SYNTAXES:
        series = _series(syntax, asked.slices, asked.size)
        here, apart = [], []
        for _ in range(asked.rounds):
            here.append(_seconds_here(series))
            apart.append(_seconds_apart(series))
        ratio = statistics.median(apart) / statistics.median(here)
        print(
            f"{syntax.name[:24]:24} child : in process = {ratio:.1f}  "
            f"{_said(apart)} against {_said(here)} for {asked.slices} x {asked.size} x {asked.size}"
        )


def _series(syntax: uid.UID, slices: int, size: int) -> list[Dataset]:
    """The phantom with noise, which is what compressed images consist of."""
    series = builders.flair_series(slices=slices, rows=size, columns=size)
    noise = np.random.default_rng(0)
    for image in series:
        stored = image.pixel_array + noise.integers(0, 32, (size, size), dtype=np.uint16)
        image.PixelData = stored.tobytes()
        image.compress(syntax, generate_instance_uid=False)
    return series


def _seconds_here(series: Sequence[Dataset]) -> float:
    began = time.perf_counter()
    for image in series:
        pixel_array(image, raw=True)
    return time.perf_counter() - began


def _seconds_apart(series: Sequence[Dataset]) -> float:
    time.sleep(PAUSE_SECONDS)
    began = time.perf_counter()
    for _ in decoding.decode([Frame(image) for image in series]):
        pass
    return time.perf_counter() - began


def _said(seconds: Sequence[float]) -> str:
    middle = statistics.median(seconds)
    return f"{middle:.2f} s [{min(seconds):.2f} to {max(seconds):.2f}]"


if __name__ == "__main__":
    main()

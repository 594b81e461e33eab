"""Would a second process for the pictures of a study pay? Seconds from findings to files.

`python tests/benchmarks/side_by_side.py`: the default set of 24 and of 180 slices, 256 x 256, built
one object after another as a worker does, and with the pictures in a process that waits for them,
while this one builds Segmentation and report. It gets what pictures are made of and writes their
files itself. On a machine with a core to spare.
"""

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import geometries
import results
from agent.dicom.objects import heatmap, report, segmentation
from agent.dicom.objects.profiles import USUAL
from benchmarks import harness
from benchmarks.compose import CASES
from results import Analysed

TWO = "two processes"


def written(objects: Iterable[Dataset], folder: Path) -> int:
    """Writes each object as it is built; how many there were."""
    count = 0
    for one in objects:
        (folder / f"{one.SOPInstanceUID}.dcm").write_bytes(results.encoded(one))
        count += 1
    return count


def statements(case: Analysed, folder: Path) -> int:
    """Segmentation and report."""
    seg = segmentation.build(case.context, case.findings)
    said = report.build(case.context, findings=case.findings, segmentation=seg)
    return written((said, seg), folder)


def pictures(case: Analysed, folder: Path) -> int:
    """A heatmap of every slice."""
    return written(heatmap.build(case.context, case.findings, case.volume), folder)


def one_after_another(case: Analysed, folder: Path) -> float:
    """Seconds in this process alone."""
    began = time.perf_counter()
    statements(case, folder)
    pictures(case, folder)
    return time.perf_counter() - began


def side_by_side(case: Analysed, folder: Path, pool: ProcessPoolExecutor) -> float:
    """Seconds with the pictures in the other process, what it is handed included."""
    began = time.perf_counter()
    drawn = pool.submit(pictures, case, folder)
    statements(case, folder)
    drawn.result(timeout=300)
    return time.perf_counter() - began


def without_pixels(case: Analysed) -> Analysed:
    """The series as a worker holds it beside its volume: headers alone."""
    for one in case.context.study:
        one.pop("PixelData", None)
    return replace(case, context=replace(case.context, profile=USUAL))


def main() -> int:
    """A figure a case."""
    asked = harness.parser(__doc__).parse_args()
    figures = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool, tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in CASES:
            case = without_pixels(results.analysed(geometries.GEOMETRIES[name](256)))
            ways = {
                harness.OURS: partial(one_after_another, case, folder),
                TWO: partial(side_by_side, case, folder, pool),
            }
            for way in ways.values():
                way()
            seconds = harness.interleave(ways, rounds=asked.rounds)
            figures.append(
                harness.Figure(
                    what=f"the objects of {name}, from findings to files", unit="s", values=seconds
                )
            )
    return harness.report(harness.Report(benchmark="side_by_side", figures=figures), asked.json)


if __name__ == "__main__":
    sys.exit(main())

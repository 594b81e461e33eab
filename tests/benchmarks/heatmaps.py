"""Milliseconds a slice and peak memory of the heatmaps: `python tests/benchmarks/heatmaps.py`.

A sagittal 3D series of 180 slices of 256 x 256 and an axial one of 24, each with a lesion and
without, built as Secondary Captures in one process, pixels included. Each row is the median of
`ROUNDS` rounds; memory is what Python and numpy held at most while building, less what the pictures
themselves keep. On a busy machine the processor's time tells more than the clock.
"""

import statistics
import sys
import time
import tracemalloc
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import builders
import results
from agent.dicom.objects import heatmap

ROUNDS = 3
MOST_MS = 5.0
SERIES = (("sagittal", 180), ("axial", 24))


def main() -> None:
    """Print one row a series, and whether each keeps the limit."""
    for plane, slices in SERIES:
        series = builders.flair_series(
            slices=slices, rows=256, columns=256, plane=builders.PLANES[plane]
        )
        for abnormal in (True, False):
            case = results.analysed(series, abnormal=abnormal)
            clock, processor = times(case)
            peak_mb, kept_mb = memory_mb(case)
            per_slice = 1000 * processor / slices
            print(
                f"{plane:8} {slices:3} slices, {'lesion   ' if abnormal else 'no lesion'}"
                f"  clock {1000 * clock / slices:5.2f}  processor {per_slice:5.2f} ms a slice"
                f"  (limit {MOST_MS:g}: {'kept' if per_slice <= MOST_MS else 'MISSED'})"
                f"  processor in all {processor:.2f} s"
                f"  memory {peak_mb - kept_mb:.1f} MB beside {kept_mb:.0f} MB of pictures"
            )


def times(case: results.Analysed) -> tuple[float, float]:
    """Median seconds by the clock and of the processor for all pictures of a series."""
    clock, processor = [], []
    for _ in range(ROUNDS):
        started, used = time.perf_counter(), time.process_time()
        list(heatmap.build(case.context, case.findings, case.volume))
        clock.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
    return statistics.median(clock), statistics.median(processor)


def memory_mb(case: results.Analysed) -> tuple[float, float]:
    """The most that was held while building, and what the pictures hold afterwards."""
    tracemalloc.start()
    pictures = list(heatmap.build(case.context, case.findings, case.volume))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6, sum(len(picture.PixelData) for picture in pictures) / 1e6


if __name__ == "__main__":
    main()

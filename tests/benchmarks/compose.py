"""Building the default set of a study, beside highdicom's straightforward use on the same study.

`python tests/benchmarks/compose.py`: 24 slices of 2D axial and 180 slices of 3D sagittal MR, 256 x
256, interleaved runs. Each is a process of its own that holds the analysed series and has built
such a set before, as a worker has. "Straightforward" is a Structured Report whose image library
describes every slice, and our Segmentation; it makes no pictures. Processor seconds of building
and encoding, without reading the images.
"""

import multiprocessing
import os
import pickle
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.queues import Queue
from pathlib import Path
from typing import NamedTuple

import highdicom
from highdicom import sr

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import geometries
import results
from agent import composition
from agent.dicom import codes
from agent.dicom.objects import measurements, segmentation
from agent.dicom.objects.profiles import USUAL
from agent.dicom.volumes import LoadedSeries
from benchmarks import harness
from results import Analysed

PEER = "highdicom's way"
MOST_SECONDS, MOST_MB = 1.5, 600.0
CASES = ("24-slice 2D axial", "180-slice 3D sagittal")


class Taken(NamedTuple):
    """What one build took."""

    seconds: float  # of processor time
    peak_mb: float
    made_mb: float


def ours(case: Analysed) -> int:
    """Report, Segmentation and a heatmap for each slice, written as files into memory."""
    assert case.context.source is not None
    context = replace(case.context, profile=USUAL)
    loaded = LoadedSeries(volume=case.volume, source=case.context.source)
    objects = composition.build(context, case.findings, loaded)
    return sum(len(results.encoded(dataset)) for _, dataset in objects)


def straightforward(case: Analysed) -> int:
    """The report as the documentation builds it, and the Segmentation."""
    assert case.context.source is not None
    images = list(case.context.source.datasets)
    seg = segmentation.build(case.context, case.findings)
    groups = [measurements.of_segment(case.context, lesion, seg) for lesion in case.context.lesions]
    report = sr.Comprehensive3DSR(
        evidence=[*images, seg],
        content=sr.MeasurementReport(
            observation_context=sr.ObservationContext(
                observer_device_context=sr.ObserverContext(
                    observer_type=sr.CodedConcept.from_code(codes.DEVICE),
                    observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
                        uid=highdicom.UID()
                    ),
                )
            ),
            procedure_reported=codes.BRAIN_MRI,
            imaging_measurements=groups,
            referenced_images=images,
        ),
        series_instance_uid=highdicom.UID(),
        series_number=1,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="peer",
    )
    return len(results.encoded(report)) + len(results.encoded(seg))


def run(build: Callable[[Analysed], int], file: Path, out: "Queue[Taken]") -> None:
    """One build in this process."""
    with file.open("rb") as stored:
        case = pickle.load(stored)
    build(case)
    used = time.process_time()
    size = build(case)
    seconds = time.process_time() - used
    peak = harness.peak_mb("self")
    out.put(Taken(seconds, peak, size / 1e6))


def main() -> int:
    """Two figures a case; 1 when ours missed a limit."""
    asked = harness.parser(__doc__).parse_args()
    figures = []
    for name in CASES:
        file = Path(tempfile.gettempdir()) / f"compose-{os.getpid()}.pickle"
        file.write_bytes(pickle.dumps(results.analysed(geometries.GEOMETRIES[name](256))))
        taken: dict[str, list[Taken]] = {harness.OURS: [], PEER: []}
        ways = {
            harness.OURS: partial(apart, ours, file),
            PEER: partial(apart, straightforward, file),
        }
        try:
            for way, built in harness.in_turns(ways, rounds=asked.rounds):
                taken[way].append(built)
        finally:
            file.unlink()
        figures += described(name, taken)
    return harness.report(harness.Report(benchmark="compose", figures=figures), asked.json)


def apart(build: Callable[[Analysed], int], file: Path) -> Taken:
    """One build in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    queue: Queue[Taken] = spawn.Queue()
    process = spawn.Process(target=run, args=(build, file, queue))
    process.start()
    taken = queue.get(timeout=300)
    process.join()
    return taken


def described(name: str, taken: Mapping[str, Sequence[Taken]]) -> list[harness.Figure]:
    """Processor time and peak memory of both ways."""
    seconds = {way: [one.seconds for one in rounds] for way, rounds in taken.items()}
    peaks = {way: [one.peak_mb for one in rounds] for way, rounds in taken.items()}
    made = ", ".join(f"{way} {rounds[0].made_mb:.1f} MB" for way, rounds in taken.items())
    return [
        harness.Figure(
            what=f"building the objects of {name}, processor time",
            unit="s",
            values=seconds,
            wanted=f"at most {MOST_SECONDS} s",
            kept=statistics.median(seconds[harness.OURS]) <= MOST_SECONDS,
            remark=f"{PEER} makes no pictures; files: {made}",
        ),
        harness.Figure(
            what=f"building the objects of {name}, peak memory",
            unit="MB",
            values=peaks,
            wanted=f"at most {MOST_MB:.0f} MB",
            kept=statistics.median(peaks[harness.OURS]) <= MOST_MB,
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())

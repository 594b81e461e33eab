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
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.queues import Queue
from pathlib import Path

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
from results import Analysed

Taken = tuple[float, float, float, float]

ROUNDS = 5
MOST_SECONDS, MOST_MB = 1.5, 600.0
CASES = ("24-slice 2D axial", "180-slice 3D sagittal")


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
    """One build in this process: processor seconds, peak and growth of memory, MB made."""
    with file.open("rb") as stored:
        case = pickle.load(stored)
    build(case)
    before = peak_mb()
    used = time.process_time()
    size = build(case)
    seconds = time.process_time() - used
    peak = peak_mb()
    out.put((seconds, peak, peak - before, size / 1e6))


def peak_mb() -> float:
    """The most memory this process has had; getrusage would count its parent's as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1e3


def main() -> int:
    """Print a line for each case and way; 1 when ours missed a limit."""
    spawn = multiprocessing.get_context("spawn")
    missed = False
    for name in CASES:
        file = Path(tempfile.gettempdir()) / f"compose-{os.getpid()}.pickle"
        file.write_bytes(pickle.dumps(results.analysed(geometries.GEOMETRIES[name](256))))
        taken: dict[str, list[Taken]] = {"ours": [], "highdicom": []}
        for _ in range(ROUNDS):
            for way, build in (("ours", ours), ("highdicom", straightforward)):
                queue = spawn.Queue()
                process = spawn.Process(target=run, args=(build, file, queue))
                process.start()
                taken[way].append(queue.get(timeout=300))
                process.join()
        file.unlink()
        medians = {
            way: [statistics.median(column) for column in zip(*rows, strict=True)]
            for way, rows in taken.items()
        }
        ratio = medians["highdicom"][0] / medians["ours"][0]
        print(f"{name}: highdicom's way takes {ratio:.1f} times as much processor time, for less")
        for way, (seconds, peak, grown, size) in medians.items():
            spread = [row[0] for row in taken[way]]
            print(
                f"  {way:10} {seconds:6.2f} s ({min(spread):.2f} to {max(spread):.2f})   peak "
                f"{peak:4.0f} MB, {grown:+4.0f} MB by building   {size:6.1f} MB of files"
            )
        seconds, peak = medians["ours"][:2]
        missed = missed or seconds > MOST_SECONDS or peak > MOST_MB
    print(f"limits {MOST_SECONDS} s and {MOST_MB:.0f} MB: {'MISSED' if missed else 'kept'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())

"""Milliseconds a slice of the shipped model on a CPU: its graphs alone, and the whole analysis.

Interleaved runs on one machine, each with one thread and with two:
`python tests/benchmarks/model_speed.py [MODEL_FOLDER]`. The volume is the bundled study. "Plain
session" is the same graph in ONNX Runtime without our code around it, all slices in one batch. On a
busy machine the processor's time tells more than the clock.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import demo_study
from agent import inference, model_toml, pipeline
from agent.dicom import volumes
from agent.imaging import brain
from agent.imaging.preprocess import ModelInput
from agent.imaging.results import Findings
from agent.imaging.volume import Volume
from agent.inference import OUTPUTS, OnnxModel, Provider

ROUNDS = 7
THREADS = (1, 2)
MOST_MS, MOST_MB = 60.0, 60.0
PLAIN, GRAPH, BRAIN = "model graph, plain session", "model graph", "brain graph"
WHOLE = "whole analysis"


@dataclass(kw_only=True)
class Timing:
    """Seconds of each round, by the clock and of the processor."""

    clock: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def take(self, work: Callable[[], object]) -> None:
        """Time one round."""
        started, used = time.perf_counter(), time.process_time()
        work()
        self.clock.append(time.perf_counter() - started)
        self.processor.append(time.process_time() - used)


def main() -> None:
    """Print medians and ranges in milliseconds a slice, then what the issue's limits say."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else inference.default_folder()
    volume = volumes.load(demo_study.IMAGES).volume
    slices = len(volume.voxels)
    jobs = {
        (name, threads): work
        for threads in THREADS
        for name, work in jobs_of(folder, volume, threads).items()
    }
    timings = {key: Timing() for key in jobs}
    for work in jobs.values():
        work()  # the first run of a session allocates
    for _ in range(ROUNDS):
        for key, work in jobs.items():
            timings[key].take(work)
    described = model_toml.describe(folder)
    print(f"{described.name} {described.version}, {slices} slices, {ROUNDS} rounds, ms a slice")
    for (name, threads), timing in timings.items():
        print(
            f"{name:27} {threads} thread{'s' if threads > 1 else ' '}"
            f"  clock {spread(timing.clock, slices)}  processor {spread(timing.processor, slices)}"
        )
    verdict(timings, slices, folder)


def jobs_of(folder: Path, volume: Volume, threads: int) -> dict[str, Callable[[], object]]:
    """What is timed with so many threads; raises ValueError for a model that refuses the study."""
    model = inference.load(folder, provider=Provider.CPU, threads=threads)
    thresholds = model.description.thresholds
    prepared = pipeline.prepare(volume, model)
    found = pipeline.analyse(volume, model, thresholds)
    if not isinstance(prepared, ModelInput) or not isinstance(found, Findings):
        raise ValueError(f"{folder} does not analyse the bundled study: {found}")
    views = np.zeros((len(volume.voxels), brain.CONTEXT, brain.SIZE, brain.SIZE), dtype=np.float32)
    plain = plain_session(folder, threads)
    feed = {"slices": prepared.slices, "position": prepared.positions}
    return {
        PLAIN: lambda: plain.run(list(OUTPUTS), feed),
        GRAPH: lambda: run(model, prepared),
        BRAIN: lambda: model.find_brain(views),
        "preparing, with brain graph": lambda: pipeline.prepare(volume, model),
        WHOLE: lambda: pipeline.analyse(volume, model, thresholds),
    }


def run(model: OnnxModel, prepared: ModelInput) -> object:
    """The model graph as the node runs it."""
    return pipeline.run_in_batches(prepared, model, pipeline.ignore)


def plain_session(folder: Path, threads: int) -> onnxruntime.InferenceSession:
    """The model graph with nothing of ours around it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    path = str(folder / inference.GRAPH_FILE)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def spread(seconds: list[float], slices: int) -> str:
    """Median and range, in milliseconds a slice."""
    median, low, high = (
        1000 * value / slices for value in (statistics.median(seconds), min(seconds), max(seconds))
    )
    return f"{median:6.1f} [{low:.1f} to {high:.1f}]"


def verdict(timings: dict[tuple[str, int], Timing], slices: int, folder: Path) -> None:
    """The ratio to the plain session, and both limits."""
    ours, plain = (statistics.median(timings[name, 1].processor) for name in (GRAPH, PLAIN))
    graphs, whole = (
        1000 * sum(statistics.median(timings[name, 1].clock) for name in names) / slices
        for names in ((GRAPH, BRAIN), (WHOLE,))
    )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    print(f"processor, one thread: ratio model graph : plain session = {ours / plain:.2f}")
    print(f"both graphs, one thread: {graphs:.1f} ms a slice (limit {MOST_MS:.0f})")
    print(f"whole analysis, one thread: {whole:.1f} ms a slice")
    print(f"model folder: {size:.1f} MB (limit {MOST_MB:.0f})")


if __name__ == "__main__":
    main()

"""Milliseconds a slice of the shipped model: its two graphs and the whole analysis, beside torch.

`neurosieve bench infer`, or `python tests/benchmarks/infer.py [--model FOLDER]`. The input is the
bundled study; the weights are the same for all. "Plain session" is the same graph in ONNX Runtime
without our code around it, all slices in one batch. With one thread the processor's time is taken,
which other work on the machine leaves alone; with two, and on a GPU, the clock.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import demo_study
from agent import inference, pipeline
from agent.dicom import volumes
from agent.imaging import preprocess, scoring
from agent.imaging.preprocess import ModelInput
from agent.imaging.volume import Volume
from agent.inference import OUTPUTS, AnomalyModel, Graph, OnnxBrain, OnnxModel, Provider
from agent.model_toml import Precision
from benchmarks import harness
from benchmarks.harness import OURS, Figure
from benchmarks.torch_model import TorchModel
from model_training.precisions import half

EAGER, LAST, PLAIN = "torch eager", "torch channels-last", "plain session"
FP32, INT8 = "NeuroSieve fp32", "NeuroSieve int8"
WANTED, MOST_MS, MOST_MB = 4.0, 60.0, 60.0
GPU_BATCHES = (1, 16, 64)
GPU_SLICES = 64

Contestants = Mapping[str, AnomalyModel]


@dataclass(frozen=True, kw_only=True)
class Study:
    """The bundled study, and what the two graphs are asked about it."""

    volume: Volume
    prepared: ModelInput
    views: NDArray[np.float32]


def main() -> int:
    """Print ratios to torch, and what the issue's limits say."""
    options = harness.parser(__doc__)
    options.add_argument("--model", type=Path, default=inference.default_folder())
    given = options.parse_args()
    study = read(inference.load(given.model, provider=Provider.CPU))
    figures = [
        figure
        for threads in (1, 2)
        for figure in on_processor(given.model, study, threads, given.rounds)
    ]
    figures.append(size(given.model))
    missing = []
    if inference.gpu_is_visible():
        figures += on_gpu(given.model, study, given.rounds)
    else:
        missing.append("CUDA: no NVIDIA GPU is to be seen here")
    return harness.report(
        harness.Report(benchmark="infer", figures=figures, missing=missing), given.json
    )


def read(model: OnnxModel) -> Study:
    """Raises ValueError for a model that refuses the study."""
    volume, seen = volumes.load(demo_study.IMAGES).volume, []

    def watched(slices: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append(slices)
        return model.find_brain(slices)

    prepared = preprocess.prepare(
        volume, size=model.description.size, context=model.description.context, brain_net=watched
    )
    if not isinstance(prepared, ModelInput):
        raise ValueError(f"The model does not read the bundled study: {prepared.sentence}")
    return Study(volume=volume, prepared=prepared, views=seen[0])


def on_processor(folder: Path, study: Study, threads: int, rounds: int) -> list[Figure]:
    """Both graphs and the whole analysis with so many threads."""
    ours = inference.load(folder, provider=Provider.CPU, threads=threads)
    models: dict[str, AnomalyModel] = {
        EAGER: TorchModel(folder, ours.description, threads=threads),
        LAST: TorchModel(folder, ours.description, threads=threads, layout=torch.channels_last),
        FP32: ours,
    }
    if (folder / Precision.INT8).is_dir():
        int8 = inference.load(folder / Precision.INT8, provider=Provider.CPU, threads=threads)
        models[INT8] = int8
    plain = plain_session(folder, threads)
    feed = {"slices": study.prepared.slices, "position": study.prepared.positions}
    timed = clocked if threads > 1 else worked
    count = len(study.prepared.slices)
    jobs = {
        "model graph": {PLAIN: lambda: plain.run(list(OUTPUTS), feed)}
        | each(models, lambda model: run(model, study)),
        "brain graph": each(models, lambda model: model.find_brain(study.views)),
        "whole analysis": each(models, lambda model: analyse(model, study)),
    }
    label = f"{threads} thread{'s' if threads > 1 else ''}"
    remark = differences(models, study)
    found: list[Figure] = []
    for what, work in jobs.items():
        values = harness.interleave(timed(work, count), rounds=rounds)
        found += figures(f"{what}, {label}", values, remark if what == "model graph" else "")
    return found


def figures(what: str, values: dict[str, list[float]], remark: str) -> list[Figure]:
    """One line for fp32 beside torch, one for int8 beside both."""
    fp32 = {name: values[name] for name in (FP32, EAGER, LAST, PLAIN) if name in values}
    found = [Figure(what=f"{what}, fp32", unit="ms/slice", values=fp32, ours=FP32, remark=remark)]
    if INT8 in values:
        int8 = {name: values[name] for name in (INT8, EAGER, LAST, FP32)}
        figure = Figure(what=f"{what}, int8", unit="ms/slice", values=int8, ours=INT8)
        if what.startswith("model graph"):
            kept = figure.ratio(EAGER) >= WANTED
            figure = replace(figure, wanted=f"{WANTED:.0f} x torch eager", kept=kept)
        found.append(figure)
    return found


def each(
    models: Contestants, work: Callable[[AnomalyModel], object]
) -> dict[str, Callable[[], object]]:
    """The same work for every model."""
    return {name: lambda model=model: work(model) for name, model in models.items()}  # type: ignore[misc]


def worked(jobs: Mapping[str, Callable[[], object]], count: int) -> dict[str, Callable[[], float]]:
    """Milliseconds of the processor for each of so many slices."""
    return timed_by(time.process_time, jobs, count)


def clocked(jobs: Mapping[str, Callable[[], object]], count: int) -> dict[str, Callable[[], float]]:
    """Milliseconds by the clock for each of so many slices."""
    return timed_by(time.perf_counter, jobs, count)


def timed_by(
    clock: Callable[[], float], jobs: Mapping[str, Callable[[], object]], count: int
) -> dict[str, Callable[[], float]]:
    """Each job once before, since the first run allocates, and then as often as asked."""

    def timing(job: Callable[[], object]) -> float:
        started = clock()
        job()
        return 1000 * (clock() - started) / count

    for job in jobs.values():
        job()
    return {name: lambda job=job: timing(job) for name, job in jobs.items()}  # type: ignore[misc]


def run(model: AnomalyModel, study: Study) -> scoring.Maps:
    """The model graph as the node runs it."""
    return pipeline.run_in_batches(study.prepared, model, pipeline.ignore)


def analyse(model: AnomalyModel, study: Study) -> object:
    """From voxels to findings."""
    return pipeline.analyse(study.volume, model, model.description.thresholds)


def plain_session(folder: Path, threads: int) -> onnxruntime.InferenceSession:
    """The model graph with nothing of ours around it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    path = str(folder / inference.GRAPH_FILE)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def differences(models: Contestants, study: Study) -> str:
    """How far the fused maps lie from torch's; brain tissue is 0.4 there."""

    def fused(model: AnomalyModel) -> NDArray[np.float32]:
        return scoring.weighted(run(model, study).raw, model.description.fusion.map_weights)

    eager = fused(models[EAGER])
    parts = [
        f"{name} {float(np.abs(fused(model) - eager).max()):.1e}"
        for name, model in models.items()
        if name not in (EAGER, LAST)
    ]
    return f"largest difference of the fused map from torch: {', '.join(parts)}"


def size(folder: Path) -> Figure:
    """What the folder holds, faster precisions included."""
    megabytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    return Figure(
        what="model folder",
        unit="MB",
        values={OURS: [megabytes]},
        wanted=f"at most {MOST_MB:.0f} MB",
        kept=megabytes <= MOST_MB,
    )


def on_gpu(folder: Path, study: Study, rounds: int) -> list[Figure]:
    """The model graph on CUDA in three precisions, by size of batch, beside torch."""
    torch.backends.cudnn.allow_tf32 = False  # torch, too, rounds unless told otherwise
    repeats = -(-GPU_SLICES // len(study.prepared.slices))
    slices = np.concatenate([study.prepared.slices] * repeats)[:GPU_SLICES]
    positions = np.concatenate([study.prepared.positions] * repeats)[:GPU_SLICES]
    models = on_cuda(folder)
    found = []
    for batch in GPU_BATCHES:

        def work(model: AnomalyModel, batch: int = batch) -> object:
            starts = range(0, GPU_SLICES, batch)
            return [
                model.run(slices[start : start + batch], positions[start : start + batch])
                for start in starts
            ]

        values = harness.interleave(clocked(each(models, work), GPU_SLICES), rounds=rounds)
        what = f"model graph, CUDA, batches of {batch}"
        remark = differences(models, study) if EAGER in models else ""
        found.append(Figure(what=what, unit="ms/slice", values=values, ours=FP32, remark=remark))
    return found


def on_cuda(folder: Path) -> dict[str, AnomalyModel]:
    """fp32, TF32 and fp16 of one graph, and torch where it knows the card."""
    fp32 = inference.load(folder, provider=Provider.CUDA)
    graph = folder / inference.GRAPH_FILE
    models: dict[str, AnomalyModel] = {FP32: fp32, "TF32": on_card(fp32, graph, Precision.TF32)}
    with tempfile.TemporaryDirectory() as place:
        half.write(graph, Path(place) / inference.GRAPH_FILE)
        models["fp16"] = on_card(fp32, Path(place) / inference.GRAPH_FILE, Precision.FP16)
    if torch.cuda.is_available():
        batch = inference.CUDA_BATCH
        models[EAGER] = TorchModel(folder, fp32.description, device="cuda", batch=batch)
    return models


def on_card(fp32: OnnxModel, graph: Path, precision: Precision) -> OnnxModel:
    """Another graph under the same description; whole analyses are not asked of it."""
    kept = graph.read_bytes()
    session = inference.open_session(kept, Provider.CUDA, None, graph, precision=precision)
    return OnnxModel(fp32.description, Graph(session), OnnxBrain(Graph(session)))


if __name__ == "__main__":
    sys.exit(main())

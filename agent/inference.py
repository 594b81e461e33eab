"""Loads a model folder and runs its ONNX graph; the only importer of ONNX Runtime."""

import hashlib
import logging
import os
import threading
from collections.abc import Mapping
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agent import model_toml
from agent.errors import UnusableModel
from agent.imaging.scoring import Kind, Maps
from agent.model_toml import ModelDescription, Precision

# The published wheels report host and runtime to their maker unless this is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as raised

log = logging.getLogger(__name__)

SHIPPED_MODEL = "flair_dae_gan"
GRAPH_FILE = "model.onnx"
LEAN_FILE = "lean.onnx"  # without the maps that no weight asks for
BRAIN_FILE = "brain.onnx"
OUTPUTS = ("restoration", "raw", "deviations")
# One batch at a time in a process, whatever it is of: two would need twice the memory of a card.
TURN = threading.Lock()
# Slices that are calculated at once. More gain nothing on a processor, and with another number the
# last batch of a study may hold one slice where it held more: ONNX Runtime's answer for one slice
# differs in the last bit.
CPU_BATCH = 16
CUDA_BATCH = 64
CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
# Its own errors have no common parent.
UNLOADABLE = (
    RuntimeError,
    ValueError,
    raised.Fail,
    raised.InvalidArgument,
    raised.InvalidGraph,
    raised.InvalidProtobuf,
    raised.NotImplemented,
    raised.RuntimeException,
)

Arrays = Mapping[str, NDArray[np.float32]]


class Provider(StrEnum):
    """Where the model runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class AnomalyModel(Protocol):
    """Anything that answers a batch of prepared slices with maps."""

    @property
    def description(self) -> ModelDescription:
        """What the model is."""

    @property
    def runtime(self) -> str:
        """What computes it: runtime, version, device."""

    @property
    def batch(self) -> int:
        """How many slices it calculates at once."""

    def find_brain(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of brain; a `agent.imaging.brain.BrainNet`."""

    def run(self, slices: NDArray[np.float32], positions: NDArray[np.float32]) -> Maps:
        """Maps [n, size, size] for slices [n, context, size, size] and heights [n]."""


class Graph:
    """One graph in an ONNX Runtime session."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session

    @property
    def provider(self) -> str:
        """The one that really runs."""
        return str(self._session.get_providers()[0])

    @property
    def batch(self) -> int:
        """How many rows it calculates at once."""
        return CUDA_BATCH if self.provider == CUDA else CPU_BATCH

    def __call__(self, feeds: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
        """Runs in batches; each output has one row of the given shape for each row of the feeds.

        The runtime writes where the answer is wanted, without a copy of each batch in between.
        """
        count = len(next(iter(feeds.values())))
        answers = {name: np.empty((count, *row), np.float32) for name, row in shapes.items()}
        for start in range(0, count, self.batch):
            rows = slice(start, start + self.batch)
            binding = self._session.io_binding()
            for name, values in feeds.items():
                binding.bind_cpu_input(name, np.ascontiguousarray(values[rows]))
            for name, values in answers.items():
                part = values[rows]
                binding.bind_output(name, "cpu", 0, part.dtype, list(part.shape), part.ctypes.data)
            with TURN:
                self._session.run_with_iobinding(binding)
        return answers


class OnnxBrain:
    """The graph that finds the brain; a `BrainNet`."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __call__(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Runs the graph."""
        shapes = {"probability": slices.shape[2:]}
        return self._graph({"slices": slices}, shapes)["probability"]


class OnnxModel:
    """A model folder's two graphs."""

    def __init__(self, description: ModelDescription, graph: Graph, brain: OnnxBrain) -> None:
        self.description = description
        self._graph = graph
        self._brain = brain

    def under(self, description: ModelDescription) -> "OnnxModel":
        """The same graphs with other thresholds and references."""
        return OnnxModel(description, self._graph, self._brain)

    @property
    def runtime(self) -> str:
        """Runtime, version, the provider that really runs, and a precision other than fp32."""
        name = f"onnxruntime {onnxruntime.__version__} {self._graph.provider}"
        precision = self.description.precision
        return name if precision is Precision.FP32 else f"{name} {precision}"

    @property
    def batch(self) -> int:
        """How many slices it calculates at once."""
        return self._graph.batch

    def find_brain(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of brain [n, brain.SIZE, brain.SIZE]."""
        return self._brain(slices)

    def run(self, slices: NDArray[np.float32], positions: NDArray[np.float32]) -> Maps:
        """Runs the anomaly graph."""
        plane = slices.shape[2:]
        shapes = dict(zip(OUTPUTS, (plane, (len(Kind), *plane), (len(Kind), *plane)), strict=True))
        return Maps(**self._graph({"slices": slices, "position": positions}, shapes))


def default_folder() -> Path:
    """The model folder that is shipped with the agent."""
    return Path(str(resources.files("agent") / "models" / SHIPPED_MODEL))


def load(
    folder: Path,
    *,
    provider: Provider = Provider.AUTO,
    threads: int | None = None,
    device: int = 0,
    every_map: bool = False,
) -> OnnxModel:
    """The model in a folder, its graphs checked against the described sha256.

    Maps of weight 0 are left out where the folder holds a graph without them, unless every map is
    asked for.
    """
    description = model_toml.describe(folder)
    path = folder / GRAPH_FILE if every_map else serving_graph(folder, description)
    graph = checked(path, sha256_of(path, description))
    brain_graph = checked(folder / BRAIN_FILE, description.brain_sha256)

    def session_of(graph: bytes, path: Path) -> onnxruntime.InferenceSession:
        precision = description.precision
        return open_session(graph, provider, threads, path, device=device, precision=precision)

    session = session_of(graph, path)
    brain = OnnxBrain(Graph(session_of(brain_graph, folder / BRAIN_FILE)))
    model = OnnxModel(description, Graph(session), brain)
    wanted = wanted_providers(provider, description.precision)
    if wanted != [CPU] and CUDA not in session.get_providers():
        log.warning(
            "A GPU is there, but the model runs on the CPU: CUDA or cuDNN is missing",
            extra={"action": "gpu_unused"},
        )
    log.info(
        "model %s %s runs on %s",
        description.name,
        description.version,
        model.runtime,
        extra={"action": "model_loaded", "model": description.name, "runtime": model.runtime},
    )
    return model


def serving_graph(folder: Path, description: ModelDescription) -> Path:
    """The graph that reads studies: the lean one where there is one."""
    lean = folder / LEAN_FILE
    return lean if description.lean_sha256 and lean.exists() else folder / GRAPH_FILE


def sha256_of(path: Path, description: ModelDescription) -> str:
    """What is said of a graph of the anomaly network."""
    lean = description.lean_sha256 if path.name == LEAN_FILE else None
    return lean or description.sha256


def load_brain(path: Path, *, provider: Provider = Provider.CPU) -> OnnxBrain:
    """A brain graph alone, as training needs it before there is a model."""
    return OnnxBrain(Graph(open_session(model_toml.read(path), provider, None, path)))


def checked(path: Path, sha256: str) -> bytes:
    """A graph whose digest is the described one."""
    graph = model_toml.read(path)
    found = hashlib.sha256(graph).hexdigest()
    if found != sha256:
        raise UnusableModel(
            f"{path} is not the graph that {model_toml.FILE_NAME} describes: its "
            f"sha256 is {found}, expected {sha256}. Copy the model folder again."
        )
    return graph


def open_session(
    graph: bytes,
    provider: Provider,
    threads: int | None,
    path: Path,
    *,
    device: int = 0,
    precision: Precision = Precision.FP32,
) -> onnxruntime.InferenceSession:
    """A session on the wanted provider; the CPU is always the fall-back of AUTO."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    providers = wanted_providers(provider, precision, device)
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=providers)
    except UNLOADABLE as error:
        raise UnusableModel(f"{path} does not load: {error}") from error
    if provider is Provider.CUDA and CUDA not in session.get_providers():
        raise UnusableModel("CUDA was asked for, but ONNX Runtime could not start it here.")
    return session


def wanted_providers(
    provider: Provider, precision: Precision, device: int = 0
) -> list[str | tuple[str, dict[str, str]]]:
    """What a session is asked to run on, the CPU last.

    Raises UnusableModel where CUDA was asked for whole numbers, which it has no kernels for.
    """
    if precision is Precision.INT8:
        if provider is Provider.CUDA:
            raise UnusableModel("An int8 model runs on a CPU only: set model.provider to cpu.")
        return [CPU]
    # get_available_providers() names CUDA even where there is no GPU, and a failed start prints
    # error lines: ask for CUDA only where a device is to be seen.
    if provider is Provider.CPU or (provider is Provider.AUTO and not gpu_is_visible()):
        return [CPU]
    return [(CUDA, {"device_id": str(device)} | cuda_options(precision)), CPU]


def cuda_options(precision: Precision) -> dict[str, str]:
    """ONNX Runtime rounds to TF32 unless told otherwise; and by default it would try all ways of
    convolving anew for each size of batch."""
    return {
        "use_tf32": str(int(precision is Precision.TF32)),
        "cudnn_conv_algo_search": "HEURISTIC",
    }


def gpu_is_visible() -> bool:
    """Whether an NVIDIA device is there and not hidden."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return False
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return False
    if os.name == "nt":
        return (Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32/nvcuda.dll").exists()
    return Path("/dev/nvidia0").exists() or Path("/dev/dxg").exists()

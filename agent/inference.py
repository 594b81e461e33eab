"""Loads a model folder and runs its ONNX graph; the only importer of ONNX Runtime."""

import hashlib
import logging
import os
import threading
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agent import model_toml
from agent.errors import UnusableModel
from agent.imaging.scoring import Maps, joined
from agent.model_toml import ModelDescription

# The published wheels report host and runtime to their maker unless this is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

log = logging.getLogger(__name__)

SHIPPED_MODEL = "flair_dae_gan"
GRAPH_FILE = "model.onnx"
BRAIN_FILE = "brain.onnx"
OUTPUTS = ("restoration", "raw", "deviations")
BATCH = 16
# One batch at a time in a process, whatever it is of: two would need twice the memory of a card.
TURN = threading.Lock()


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

    def find_brain(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of brain; a `agent.imaging.brain.BrainNet`."""

    def run(self, slices: NDArray[np.float32], positions: NDArray[np.float32]) -> Maps:
        """Maps [n, size, size] for slices [n, context, size, size] and heights [n]."""


class OnnxBrain:
    """The graph that finds the brain, in an ONNX Runtime session; a `BrainNet`."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session

    def __call__(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Runs the graph in batches."""
        parts = []
        for start in range(0, len(slices), BATCH):
            with TURN:
                answer = self._session.run(
                    ["probability"], {"slices": slices[start : start + BATCH]}
                )
            parts.append(answer[0])
        return np.concatenate(parts)


class OnnxModel:
    """A model folder's two graphs."""

    def __init__(
        self,
        description: ModelDescription,
        session: onnxruntime.InferenceSession,
        brain: OnnxBrain,
    ) -> None:
        self.description = description
        self._session = session
        self._brain = brain

    def under(self, description: ModelDescription) -> "OnnxModel":
        """The same graphs with other thresholds and references."""
        return OnnxModel(description, self._session, self._brain)

    @property
    def runtime(self) -> str:
        """Runtime, version and the provider that really runs."""
        return f"onnxruntime {onnxruntime.__version__} {self._session.get_providers()[0]}"

    def find_brain(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of brain [n, brain.SIZE, brain.SIZE]."""
        return self._brain(slices)

    def run(self, slices: NDArray[np.float32], positions: NDArray[np.float32]) -> Maps:
        """Runs the anomaly graph in batches."""
        parts = []
        for start in range(0, len(slices), BATCH):
            feed = {
                "slices": slices[start : start + BATCH],
                "position": positions[start : start + BATCH],
            }
            with TURN:
                answer = self._session.run(list(OUTPUTS), feed)
            parts.append(Maps(**dict(zip(OUTPUTS, answer, strict=True))))
        return joined(parts)


def default_folder() -> Path:
    """The model folder that is shipped with the agent."""
    return Path(str(resources.files("agent") / "models" / SHIPPED_MODEL))


def load(
    folder: Path,
    *,
    provider: Provider = Provider.AUTO,
    threads: int | None = None,
    device: int = 0,
) -> OnnxModel:
    """The model in a folder, its graphs checked against the described sha256."""
    description = model_toml.describe(folder)
    graph = checked(folder / GRAPH_FILE, description.sha256)
    brain_graph = checked(folder / BRAIN_FILE, description.brain_sha256)
    session = open_session(graph, provider, threads, folder / GRAPH_FILE, device)
    brain = OnnxBrain(open_session(brain_graph, provider, threads, folder / BRAIN_FILE, device))
    model = OnnxModel(description, session, brain)
    on_gpu = "CUDAExecutionProvider" in session.get_providers()
    if provider is not Provider.CPU and gpu_is_visible() and not on_gpu:
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


def load_brain(path: Path, *, provider: Provider = Provider.CPU) -> OnnxBrain:
    """A brain graph alone, as training needs it before there is a model."""
    return OnnxBrain(open_session(model_toml.read(path), provider, None, path))


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
    graph: bytes, provider: Provider, threads: int | None, path: Path, device: int = 0
) -> onnxruntime.InferenceSession:
    """A session on the wanted provider; the CPU is always the fall-back of AUTO."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    providers: list[str | tuple[str, dict[str, int]]] = ["CPUExecutionProvider"]
    # get_available_providers() names CUDA even where there is no GPU, and a failed start prints
    # error lines: ask for CUDA only where a device is to be seen.
    if provider is Provider.CUDA or (provider is Provider.AUTO and gpu_is_visible()):
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": device}))
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=providers)
    except (RuntimeError, ValueError) as error:
        raise UnusableModel(f"{path} does not load: {error}") from error
    if provider is Provider.CUDA and "CUDAExecutionProvider" not in session.get_providers():
        raise UnusableModel("CUDA was asked for, but ONNX Runtime could not start it here.")
    return session


def gpu_is_visible() -> bool:
    """Whether an NVIDIA device is there and not hidden."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return False
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return False
    if os.name == "nt":
        return (Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32/nvcuda.dll").exists()
    return Path("/dev/nvidia0").exists() or Path("/dev/dxg").exists()

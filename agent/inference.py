"""Loads a model folder and runs its ONNX graph; the only importer of ONNX Runtime."""

import hashlib
import logging
import os
import tomllib
from dataclasses import dataclass, fields
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from agent.errors import UnusableModel
from agent.imaging.acceptance import NO_LIMITS, Limit, Limits
from agent.imaging.findings import Thresholds
from agent.imaging.pattern import ALL_MASS_LIKE, PatternRule
from agent.imaging.scoring import Fusion, Kind, Maps, joined
from agent.imaging.traits import Trait

log = logging.getLogger(__name__)

SHIPPED_MODEL = "flair_dae_gan"
GRAPH_FILE = "model.onnx"
BRAIN_FILE = "brain.onnx"
DESCRIPTION_FILE = "model.toml"
OUTPUTS = ("restoration", "raw", "deviations")
BATCH = 16


class Provider(StrEnum):
    """Where the model runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """What `model.toml` says. The two reference tuples hold scores of tumour-free calibration
    slices and subjects, rising, from which p-values are read."""

    name: str
    version: str
    sha256: str
    brain_sha256: str
    sequence: str
    plane: str
    size: int
    context: int
    fusion: Fusion
    thresholds: Thresholds
    pattern: PatternRule
    acceptance: Limits = NO_LIMITS
    operating_point: str
    slice_reference: tuple[float, ...]
    study_reference: tuple[float, ...]
    training_data_sha256: str
    code_version: str

    @property
    def digest(self) -> str:
        """What names the model in results: SHA-256 over `sha256`, `brain_sha256`, the weights of
        the maps and the limits of acceptance; with others the same graph answers otherwise."""
        parts = (self.sha256, self.brain_sha256, repr(self.fusion), repr(self.acceptance))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


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
        parts = [
            self._session.run(["probability"], {"slices": slices[start : start + BATCH]})[0]
            for start in range(0, len(slices), BATCH)
        ]
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
            answer = self._session.run(list(OUTPUTS), feed)
            parts.append(Maps(**dict(zip(OUTPUTS, answer, strict=True))))
        return joined(parts)


def default_folder() -> Path:
    """The model folder that is shipped with the agent."""
    return Path(str(resources.files("agent") / "models" / SHIPPED_MODEL))


def load(
    folder: Path, *, provider: Provider = Provider.AUTO, threads: int | None = None
) -> OnnxModel:
    """The model in a folder, its graphs checked against the described sha256."""
    description = describe(folder)
    graph = checked(folder / GRAPH_FILE, description.sha256)
    brain_graph = checked(folder / BRAIN_FILE, description.brain_sha256)
    session = open_session(graph, provider, threads, folder / GRAPH_FILE)
    brain = OnnxBrain(open_session(brain_graph, provider, threads, folder / BRAIN_FILE))
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
    return OnnxBrain(open_session(read(path), provider, None, path))


def checked(path: Path, sha256: str) -> bytes:
    """A graph whose digest is the described one."""
    graph = read(path)
    found = hashlib.sha256(graph).hexdigest()
    if found != sha256:
        raise UnusableModel(
            f"{path} is not the graph that {DESCRIPTION_FILE} describes: its "
            f"sha256 is {found}, expected {sha256}. Copy the model folder again."
        )
    return graph


def open_session(
    graph: bytes, provider: Provider, threads: int | None, path: Path
) -> onnxruntime.InferenceSession:
    """A session on the wanted provider; the CPU is always the fall-back of AUTO."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    providers = ["CPUExecutionProvider"]
    # get_available_providers() names CUDA even where there is no GPU, and a failed start prints
    # error lines: ask for CUDA only where a device is to be seen.
    if provider is Provider.CUDA or (provider is Provider.AUTO and gpu_is_visible()):
        providers.insert(0, "CUDAExecutionProvider")
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


def describe(folder: Path) -> ModelDescription:
    """What a folder's `model.toml` says."""
    text = read(folder / DESCRIPTION_FILE)
    try:
        return from_toml(tomllib.loads(text.decode("utf-8")))
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableModel(
            f"{folder / DESCRIPTION_FILE} is incomplete or not TOML: {error!r}."
        ) from error


def read(path: Path) -> bytes:
    """A file of the model folder."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnusableModel(f"{path} cannot be read: {error.strerror}.") from error


def from_toml(values: dict[str, Any]) -> ModelDescription:
    """The description in the tables of a `model.toml`."""
    model, grid, limits = values["model"], values["input"], values["thresholds"]
    pixel, slice_, volume_ml = (
        float(limits[key]) for key in ("pixel", "slice", "minimum_volume_ml")
    )
    rule = pattern(values["pattern"]) if "pattern" in values else ALL_MASS_LIKE
    return ModelDescription(
        name=model["name"],
        version=model["version"],
        sha256=model["sha256"],
        brain_sha256=values["brain"]["sha256"],
        sequence=model["sequence"],
        plane=model["plane"],
        size=int(grid["size"]),
        context=int(grid["context"]),
        fusion=fusion(values["fusion"]),
        thresholds=Thresholds(
            pixel=pixel,
            slice=slice_,
            minimum_volume_ml=volume_ml,
            version=thresholds_version(pixel, slice_, volume_ml, rule),
        ),
        pattern=rule,
        acceptance=acceptance(values.get("acceptance", {})),
        operating_point=limits["operating_point"],
        slice_reference=tuple(float(score) for score in values["reference"]["slice_scores"]),
        study_reference=tuple(float(score) for score in values["reference"]["study_scores"]),
        training_data_sha256=values["training"]["data_sha256"],
        code_version=values["training"]["code_version"],
    )


def fusion(values: dict[str, Any]) -> Fusion:
    """The weights in the table `[fusion]`, one for each kind of map."""
    map_weights, score_weights = (
        tuple(float(values[use][kind]) for kind in Kind) for use in ("map", "score")
    )
    return Fusion(map_weights=map_weights, score_weights=score_weights)


def pattern(values: dict[str, Any]) -> PatternRule:
    """The rule in the table `[pattern]`; a model without it calls every region mass-like."""
    return PatternRule(**{field.name: float(values[field.name]) for field in fields(PatternRule)})


def acceptance(values: dict[str, Any]) -> Limits:
    """The limits in the table `[acceptance]`; a model without it has none."""
    stack, single = (
        tuple(
            Limit(trait=Trait(name), **{side: float(value) for side, value in sides.items()})
            for name, sides in values.get(use, {}).items()
        )
        for use in ("stack", "single")
    )
    return Limits(stack=stack, single=single)


def thresholds_version(
    pixel: float, slice_: float, minimum_volume_ml: float, rule: PatternRule = ALL_MASS_LIKE
) -> str:
    """A short name for one set of threshold values and the rule that judges regions."""
    text = f"{pixel!r} {slice_!r} {minimum_volume_ml!r}"
    if rule != ALL_MASS_LIKE:
        text += f" {rule!r}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]

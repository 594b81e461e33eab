"""The shipped networks in torch, with the weights of a model folder: a peer for `infer`."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from agent import inference
from agent.imaging.scoring import Maps
from agent.model_toml import ModelDescription
from model_training import config, weights
from model_training.brain.learning import BrainNetwork
from model_training.graph import Normal, ShippedGraph
from model_training.methods import catalogue

RECIPE = Path(config.__file__).parent / "recipes" / "default.toml"


class TorchModel:
    """An `AnomalyModel` that torch calculates; `layout` is how images lie in memory."""

    def __init__(
        self,
        folder: Path,
        description: ModelDescription,
        *,
        layout: torch.memory_format = torch.contiguous_format,
        device: str = "cpu",
        threads: int | None = None,
        batch: int = inference.CPU_BATCH,
    ) -> None:
        self.description, self.batch = description, batch
        self._layout, self._device, self._threads = layout, device, threads
        self._graph, self._brain = self._placed(anomaly(folder)), self._placed(brain(folder))

    @property
    def runtime(self) -> str:
        """Version and device."""
        return f"torch {torch.__version__} {self._device}"

    @torch.inference_mode()
    def find_brain(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of brain."""
        parts = [cast(Tensor, self._brain(part)) for part in self._batches(slices)]
        return torch.cat(parts).cpu().numpy()

    @torch.inference_mode()
    def run(self, slices: NDArray[np.float32], positions: NDArray[np.float32]) -> Maps:
        """The maps."""
        heights = torch.split(torch.from_numpy(positions).to(self._device), self.batch)
        parts = [
            self._graph(part, height)
            for part, height in zip(self._batches(slices), heights, strict=True)
        ]
        joined = [torch.cat(one).cpu().numpy() for one in zip(*parts, strict=True)]
        return Maps(**dict(zip(inference.OUTPUTS, joined, strict=True)))

    def _placed(self, network: nn.Module) -> nn.Module:
        network = network.eval().requires_grad_(False).to(self._device)
        return network.to(memory_format=self._layout)  # type: ignore[call-overload, no-any-return]

    def _batches(self, slices: NDArray[np.float32]) -> Iterator[Tensor]:
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        for part in torch.split(torch.from_numpy(slices), self.batch):
            yield part.to(self._device, memory_format=self._layout)


def anomaly(folder: Path) -> ShippedGraph:
    """The networks of `weights.pt` with the maps of what is normal from the graph."""
    recipe = config.load(RECIPE)
    method = catalogue.build(recipe)
    weights.take(method.networks, weights.load(folder, 1), recipe.name)
    values = initial(onnx.load(folder / inference.GRAPH_FILE))
    normal = Normal(mean=values["mean"], deviation=values["deviation"])
    return ShippedGraph([method.parts()], normal)


def brain(folder: Path) -> BrainNetwork:
    """The network whose graph is shipped; its weights are kept in the graph alone."""
    model = onnx.load(folder / inference.BRAIN_FILE)
    values, network = initial(model), BrainNetwork()
    state = {name: torch.from_numpy(values[name].copy()) for name in values if "net." in name}
    norms = [name for name, part in network.named_modules() if isinstance(part, nn.GroupNorm)]
    for kind, suffix in (("Mul", "weight"), ("Add", "bias")):
        found = [
            values[node.input[1]].ravel()
            for node in model.graph.node
            if node.op_type == kind and values.get(node.input[1], np.zeros(1)).ndim == 3
        ]
        for name, value in zip(norms, found, strict=True):
            state[f"{name}.{suffix}"] = torch.from_numpy(value.copy())
    network.load_state_dict(state)
    return network


def initial(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    """What a graph keeps, by name."""
    return {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}

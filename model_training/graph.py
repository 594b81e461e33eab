"""The one graph that is shipped: generator, discriminator and what is normal at each place."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from agent.imaging.preprocess import ModelInput
from agent.imaging.scoring import Maps
from model_training.data import SliceSet
from model_training.networks import Discriminator, feature_distance

HEIGHTS = 6  # relative heights at which normal maps are kept; between them they are interpolated
SPREAD_PIXELS = 3.0  # smoothing of the normal maps: a place borrows from its surroundings
LEAST_EVIDENCE = 3.0  # slices' worth of the overall value mixed in where few slices were seen
OUTPUTS = ("restoration", "residual", "feature_distance", "residual_z", "feature_z")


@dataclass(frozen=True, kw_only=True)
class Normal:
    """Mean and deviation of one smoothed map in tumour-free brains, each [HEIGHTS, size, size]."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]


class ShippedGraph(nn.Module):
    """(slices [batch, context, height, width], position [batch]) -> the five maps."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: Discriminator,
        *,
        context: int,
        residual: Normal,
        feature: Normal,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.middle = context // 2
        for name, normal in (("residual", residual), ("feature", feature)):
            self.register_buffer(f"{name}_mean", torch.from_numpy(normal.mean.copy()))
            self.register_buffer(f"{name}_deviation", torch.from_numpy(normal.deviation.copy()))

    def forward(self, slices: Tensor, position: Tensor) -> tuple[Tensor, ...]:
        """Five maps [batch, height, width], in the order of `OUTPUTS`."""
        image = slices[:, self.middle : self.middle + 1]
        restoration = self.generator(slices)
        residual = image - restoration
        distance = feature_distance(self.discriminator, image, restoration)
        weights = height_weights(position)
        return (
            restoration[:, 0],
            residual[:, 0],
            distance[:, 0],
            self.deviation_from_normal(smoothed(residual), weights, "residual"),
            self.deviation_from_normal(smoothed(distance), weights, "feature"),
        )

    def deviation_from_normal(self, values: Tensor, weights: Tensor, name: str) -> Tensor:
        """Values against the mean and deviation at this place and height."""
        mean: Tensor = getattr(self, f"{name}_mean")
        deviation: Tensor = getattr(self, f"{name}_deviation")
        at_mean = torch.einsum("bk,khw->bhw", weights, mean)
        at_deviation = torch.einsum("bk,khw->bhw", weights, deviation)
        return (values[:, 0] - at_mean) / at_deviation


def height_weights(position: Tensor) -> Tensor:
    """[batch] -> [batch, HEIGHTS]: linear interpolation between the kept heights."""
    heights = torch.arange(HEIGHTS, dtype=position.dtype)
    return functional.relu(1 - (position[:, None] * (HEIGHTS - 1) - heights).abs())


def smoothed(values: Tensor) -> Tensor:
    """What rises above zero, averaged over 5 x 5 pixels."""
    return functional.avg_pool2d(functional.relu(values), 5, 1, 2)


def assemble(
    generator: nn.Module, discriminator: Discriminator, slices: SliceSet, *, context: int
) -> ShippedGraph:
    """The graph with normal maps learnt on the tumour-free training slices."""
    blank = np.zeros((HEIGHTS, *slices.images.shape[1:]), dtype=np.float32)
    empty = Normal(mean=blank, deviation=blank + 1)
    graph = ShippedGraph(
        generator, discriminator, context=context, residual=empty, feature=empty
    ).eval()
    heights = height_weights(torch.from_numpy(slices.positions)).numpy()
    found: dict[str, list[NDArray[np.float32]]] = {"residual": [], "feature": []}
    for start in range(0, len(slices.images), 16):
        image = torch.from_numpy(slices.images[start : start + 16])[:, None]
        position = torch.from_numpy(slices.positions[start : start + 16])
        with torch.inference_mode():
            _, _, _, residual, feature = graph(image.expand(-1, context, -1, -1), position)
        found["residual"].append(residual.numpy())
        found["feature"].append(feature.numpy())
    normals = {
        name: learn_normal(np.concatenate(parts), slices.brain, heights)
        for name, parts in found.items()
    }
    return ShippedGraph(generator, discriminator, context=context, **normals).eval()


def learn_normal(
    values: NDArray[np.float32], brain: NDArray[np.bool_], heights: NDArray[np.float32]
) -> Normal:
    """Mean and deviation by height and place, both halves of the head taken together."""
    mask = brain.astype(np.float32)
    overall_mean = float(values[brain].mean())
    overall_square = float(np.square(values[brain]).mean())
    evidence = spread(np.einsum("nk,nhw->khw", heights, mask))
    total = spread(np.einsum("nk,nhw->khw", heights, mask * values))
    square = spread(np.einsum("nk,nhw->khw", heights, mask * values**2))
    weight = evidence + LEAST_EVIDENCE
    mean = (total + LEAST_EVIDENCE * overall_mean) / weight
    variance = (square + LEAST_EVIDENCE * overall_square) / weight - mean**2
    # A floor keeps a quiet place from turning noise into a deviation.
    floor = 0.3 * np.sqrt(max(overall_square - overall_mean**2, 1e-12))
    deviation = np.sqrt(np.maximum(variance, 0)) + floor
    return Normal(mean=mean.astype(np.float32), deviation=deviation.astype(np.float32))


def spread(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mirrored onto itself and smoothed in the plane."""
    mirrored = (maps + maps[..., ::-1]) / 2
    blurred = ndimage.gaussian_filter(mirrored, (0, SPREAD_PIXELS, SPREAD_PIXELS))
    return np.asarray(blurred, dtype=np.float64)


def maps(graph: ShippedGraph, prepared: ModelInput) -> Maps:
    """What the torch graph answers for a prepared volume."""
    parts = []
    for start in range(0, len(prepared.slices), 16):
        chosen = slice(start, start + 16)
        with torch.inference_mode():
            answer = graph(
                torch.from_numpy(prepared.slices[chosen]),
                torch.from_numpy(prepared.positions[chosen]),
            )
        parts.append([part.numpy() for part in answer])
    joined = [np.concatenate(values) for values in zip(*parts, strict=True)]
    return Maps(**dict(zip(OUTPUTS, joined, strict=True)))

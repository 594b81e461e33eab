"""The one graph that is shipped: what a method learnt, and what is normal at each place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from agent.imaging import scoring
from agent.imaging.preprocess import ModelInput
from agent.imaging.scoring import Kind, Maps
from model_training import losses
from model_training.data import SliceSet
from model_training.methods.method import Parts, middle
from model_training.networks import Critic, feature_distance

HEIGHTS = 6  # relative heights at which normal maps are kept; between them they are interpolated
SPREAD_PIXELS = 3.0  # smoothing of the normal maps: a place borrows from its surroundings
LEAST_EVIDENCE = 3.0  # slices' worth of the overall value mixed in where few slices were seen
QUIET = 1e-4  # added to every deviation: a kind that is 0 everywhere stays 0
BATCH = 16


@dataclass(frozen=True, kw_only=True)
class Normal:
    """Mean and deviation of the smoothed maps in tumour-free brains, each
    [kinds, HEIGHTS, size, size]."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]


class Opinion(nn.Module):
    """What one trained method says: slices [batch, context, height, width] -> restoration
    [batch, 1, height, width] and raw maps [batch, kinds, height, width]."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.restorer, self.critic, self.marker = parts.restorer, parts.critic, parts.marker

    def forward(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """Restoration and raw maps."""
        image = middle(slices)
        restoration = image if self.restorer is None else self.restorer(slices)
        zero = torch.zeros_like(image)
        raw = {
            Kind.RESIDUAL: functional.relu(image - restoration),
            Kind.STRUCTURE: losses.dissimilarity_map(restoration, image).clamp(min=0.0),
            Kind.FEATURES: zero
            if self.critic is None
            else feature_distance(cast(Critic, self.critic), image, restoration),
            Kind.MARKS: zero if self.marker is None else torch.sigmoid(self.marker(slices)),
        }
        # Nothing is looked for where there is nothing to see.
        shown = (image > 0).to(image.dtype)
        return restoration, torch.cat([raw[kind] * shown for kind in Kind], dim=1)


class ShippedGraph(nn.Module):
    """(slices [batch, context, height, width], position [batch]) -> restoration
    [batch, height, width], raw maps and deviations [batch, kinds, height, width].

    The mean of what all `parts` say: runs that differ in their seed alone err in different places.
    """

    def __init__(self, parts: Sequence[Parts], normal: Normal) -> None:
        super().__init__()
        self.opinions = nn.ModuleList(Opinion(one) for one in parts)
        self.register_buffer("mean", torch.from_numpy(normal.mean.copy()))
        self.register_buffer("deviation", torch.from_numpy(normal.deviation.copy()))

    def forward(self, slices: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Restoration, raw maps and deviations, as `agent.inference.OUTPUTS` names them."""
        restorations, raw = zip(*(opinion(slices) for opinion in self.opinions), strict=True)
        maps = torch.stack(raw).mean(dim=0)
        restoration = torch.stack(restorations).mean(dim=0)
        return restoration[:, 0], maps, self.deviations(maps, height_weights(position))

    def deviations(self, maps: Tensor, weights: Tensor) -> Tensor:
        """Maps, averaged over 5 x 5 pixels, against what is usual at this place and height."""
        mean: Tensor = self.get_buffer("mean")
        deviation: Tensor = self.get_buffer("deviation")
        at_mean = torch.einsum("bl,klhw->bkhw", weights, mean)
        at_deviation = torch.einsum("bl,klhw->bkhw", weights, deviation)
        return (losses.box_mean(maps, 5) - at_mean) / at_deviation


def height_weights(position: Tensor) -> Tensor:
    """[batch] -> [batch, HEIGHTS]: linear interpolation between the kept heights."""
    heights = torch.arange(HEIGHTS, dtype=position.dtype)
    return functional.relu(1 - (position[:, None] * (HEIGHTS - 1) - heights).abs())


def assemble(parts: Sequence[Parts], slices: SliceSet) -> ShippedGraph:
    """The graph with normal maps learnt on the tumour-free training slices."""
    shape = (len(Kind), HEIGHTS, *slices.brain.shape[1:])
    plain = Normal(
        mean=np.zeros(shape, dtype=np.float32), deviation=np.ones(shape, dtype=np.float32)
    )
    smoothed = run(ShippedGraph(parts, plain).eval(), slices.images, slices.positions).deviations
    heights = height_weights(torch.from_numpy(slices.positions)).numpy()
    normals = [learn_normal(smoothed[:, kind], slices.brain, heights) for kind in range(len(Kind))]
    normal = Normal(
        mean=np.stack([one.mean for one in normals]),
        deviation=np.stack([one.deviation for one in normals]),
    )
    return ShippedGraph(parts, normal).eval().requires_grad_(False)


def learn_normal(
    values: NDArray[np.float32], brain: NDArray[np.bool_], heights: NDArray[np.float32]
) -> Normal:
    """Mean and deviation of one kind by height and place, both halves of the head together."""
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
    floor = 0.3 * np.sqrt(max(overall_square - overall_mean**2, 0)) + QUIET
    deviation = np.sqrt(np.maximum(variance, 0)) + floor
    return Normal(mean=mean.astype(np.float32), deviation=deviation.astype(np.float32))


def spread(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mirrored onto itself and smoothed in the plane."""
    mirrored = (maps + maps[..., ::-1]) / 2
    blurred = ndimage.gaussian_filter(mirrored, (0, SPREAD_PIXELS, SPREAD_PIXELS))
    return np.asarray(blurred, dtype=np.float64)


def maps(graph: ShippedGraph, prepared: ModelInput) -> Maps:
    """What the torch graph answers for a prepared volume."""
    return run(graph, prepared.slices, prepared.positions)


def run(graph: ShippedGraph, slices: NDArray[np.floating], positions: NDArray[np.float32]) -> Maps:
    """What the torch graph answers for slices [n, context, size, size] and heights [n]."""
    parts = []
    for start in range(0, len(slices), BATCH):
        chosen = slice(start, start + BATCH)
        with torch.inference_mode():
            answer = graph(
                torch.from_numpy(slices[chosen].astype(np.float32)),
                torch.from_numpy(positions[chosen]),
            )
        restoration, raw, deviations = (part.numpy() for part in answer)
        parts.append(Maps(restoration=restoration, raw=raw, deviations=deviations))
    return scoring.joined(parts)

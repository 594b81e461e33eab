"""Learns how much each kind of map counts, from synthetic lesions in tumour-free slices.

The lesions here are of a family that no network was trained on: shapes cut out of smooth noise,
filled with a ramp and softened. A kind that only knows the training lesions by heart gains nothing.
No real tumour and no label takes part.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Generator as Chance
from torch import Tensor

from agent.imaging import scoring
from agent.imaging.scoring import Fusion, Kind
from model_training import losses
from model_training.corruption import neighbourhood, smooth_noise, uniform
from model_training.data import SliceSet
from model_training.graph import ShippedGraph, run

SEED = 11
SLICES = 160
STEPS = (0.0, 0.25, 0.5, 1.0)  # weights that are tried, in units of a kind's usual size
SCORE_CHANCE = 0.01  # 320 slices do not tell scores apart whose figures differ by less
MIN_LESION_PIXELS = 20
TOP_VALUE = 1.0
STRIDE = 2  # pixels taken for the precision
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """Slices with a lesion, then as many untouched ones. `raw` (median-filtered) and `deviations`
    [n, kinds, h, w]; `foreign` [n, h, w] is where the lesions are."""

    raw: NDArray[np.float32]
    deviations: NDArray[np.float32]
    brain: NDArray[np.bool_]
    foreign: NDArray[np.bool_]


def learn(graph: ShippedGraph, slices: SliceSet) -> tuple[Fusion, dict[str, float]]:
    """The weights that find synthetic lesions best, and what each kind reaches alone."""
    return learn_from(prepare(graph, slices))


def learn_from(exercise: Exercise) -> tuple[Fusion, dict[str, float]]:
    """The same from an exercise that was prepared."""
    map_weights, drawn = choose(exercise, exercise.raw, pixel_precision)
    score_weights, scored = choose(exercise, exercise.deviations, slice_auroc, chance=SCORE_CHANCE)
    figures = {f"map_{name}": value for name, value in drawn.items()}
    figures |= {f"score_{name}": value for name, value in scored.items()}
    return Fusion(map_weights=map_weights, score_weights=score_weights), figures


def choose(
    exercise: Exercise,
    maps: NDArray[np.float32],
    figure: Callable[[Exercise, Floats], float],
    *,
    chance: float = 0.0,
) -> tuple[tuple[float, ...], dict[str, float]]:
    """Weights of the kinds that the method has, and the figure of each and of all.

    Of weights that are within `chance` of the best the most even ones are taken, since what two
    kinds agree on is seldom noise.
    """
    sizes = usual_sizes(maps, exercise.brain)
    tried = [
        np.array(weights)
        for weights in itertools.product(*(STEPS if size > 0 else (0.0,) for size in sizes))
        if max(weights) == 1.0  # only ratios count
    ]
    if not tried:
        raise ValueError("The network answers nothing but zeros: train it for longer.")
    reached = [figure(exercise, weights * sizes) for weights in tried]
    good = [index for index, value in enumerate(reached) if value >= max(reached) - chance]
    first = max(good, key=lambda index: evenness(tried[index]))
    figures = {
        str(kind): figure(exercise, np.eye(len(Kind))[number] * sizes)
        for number, kind in enumerate(Kind)
        if sizes[number] > 0
    }
    return scaled(maps, exercise.brain, tried[first] * sizes), figures | {"fused": reached[first]}


def evenness(weights: Floats) -> float:
    """The entropy of the weights' shares."""
    shares = weights[weights > 0] / weights.sum()
    return float(-(shares * np.log(shares)).sum())


def scaled(
    maps: NDArray[np.float32], brain: NDArray[np.bool_], weights: Floats
) -> tuple[float, ...]:
    """The weights with which the highest values of the fused map are about `TOP_VALUE`."""
    value = scoring.weighted(maps, weights.tolist())
    factor = TOP_VALUE / max(float(np.quantile(value[brain], 0.9995)), 1e-6)
    return tuple(float(f"{weight:.3g}") for weight in weights * factor)


def prepare(graph: ShippedGraph, slices: SliceSet) -> Exercise:
    """The graph's answers to slices with a lesion and to the same slices without."""
    chance = Chance().manual_seed(SEED)
    chosen = torch.randperm(len(slices.images), generator=chance)[:SLICES]
    clean = torch.from_numpy(slices.images)[chosen].float()
    brain = torch.from_numpy(slices.brain)[chosen][:, None]
    damaged, foreign = with_lesions(clean, brain, chance)
    positions = np.tile(slices.positions[chosen.numpy()], 2)
    maps = run(graph, torch.cat([damaged, clean]).numpy(), positions)
    inside = np.tile(brain[:, 0].numpy(), (2, 1, 1))
    size = scoring.MEDIAN_PIXELS
    return Exercise(
        raw=ndimage.median_filter(maps.raw, size=(1, 1, size, size)),
        deviations=np.maximum(maps.deviations, 0),
        brain=np.stack([ndimage.binary_erosion(part, iterations=2) for part in inside]),
        foreign=torch.cat([foreign, torch.zeros_like(foreign)])[:, 0].numpy(),
    )


def with_lesions(image: Tensor, brain: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """Slices with one lesion each, from hardly to much brighter than brain, and its mask."""
    cells = 4 + 6 * uniform(image, chance)
    coarse, fine = smooth_noise(image, chance, 5), smooth_noise(image, chance, 12)
    field = torch.lerp(coarse, fine, (cells - 4) / 12).masked_fill(~brain, -9)
    peak = field.flatten(1).amax(1).view(-1, 1, 1, 1)
    level = peak - 0.15 - 0.9 * uniform(image, chance)
    foreign = (field > level) & brain
    soft = losses.box_mean(foreign.float(), 5)
    ramp = 0.6 + 0.4 * smooth_noise(image, chance, 3).clamp(-1, 1)
    shift = 0.03 + 0.3 * uniform(image, chance) ** 1.5
    flat = torch.lerp(image, neighbourhood(image), 0.5 * uniform(image, chance))
    whole = torch.lerp(image, flat + shift * ramp, soft)
    large = foreign.flatten(1).sum(1).view(-1, 1, 1, 1) >= MIN_LESION_PIXELS
    return torch.where(brain & large, whole.clamp(0, 1.2), image), foreign & large


def usual_sizes(maps: NDArray[np.float32], brain: NDArray[np.bool_]) -> Floats:
    """One over the deviation of each kind in untouched brain, 0 for a kind that is 0."""
    untouched = maps[len(maps) // 2 :]
    inside = brain[len(maps) // 2 :]
    sizes = np.array([untouched[:, kind][inside].std() for kind in range(len(Kind))])
    inverse = np.divide(1.0, sizes, out=np.zeros(len(Kind)), where=sizes > 1e-6)
    return np.asarray(inverse, dtype=np.float64)


def pixel_precision(exercise: Exercise, weights: Floats) -> float:
    """Average precision over the brain's pixels."""
    inside = exercise.brain[:, ::STRIDE, ::STRIDE]
    value = scoring.weighted(exercise.raw[:, :, ::STRIDE, ::STRIDE], weights.tolist())
    wanted = exercise.foreign[:, ::STRIDE, ::STRIDE]
    return float(average_precision_score(wanted[inside], value[inside]))


def slice_auroc(exercise: Exercise, weights: Floats) -> float:
    """How well the mean of the highest values parts damaged from untouched slices."""
    value = scoring.weighted(exercise.deviations, weights.tolist())
    scores = [top_mean(part[mask]) for part, mask in zip(value, exercise.brain, strict=True)]
    damaged = exercise.foreign.any(axis=(1, 2))
    return float(roc_auc_score(damaged, scores))


def top_mean(values: NDArray[np.float32]) -> float:
    """As the slice score is built, in one slice."""
    count = max(1, round(scoring.TOP_SHARE * values.size))
    return float(np.partition(values, -count)[-count:].mean()) if values.size else 0.0

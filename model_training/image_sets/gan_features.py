"""What a frozen restoring GAN sees in framed images: its features, and how much it would restore.

Nothing here learns: the networks come from a run of `neurosieve-train run` and stay as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator as Chance
from torch import Tensor
from torch.nn import functional

from model_training import checkpoint, config, corruption
from model_training.config import Recipe
from model_training.image_sets.image_set import Images
from model_training.losses import box_mean
from model_training.methods.restoring import Restoring
from model_training.networks import Discriminator, Generator, feature_distance

BATCH = 16
SEED = 11
TOP_SHARE = 0.01  # of the head: the strongest signs are averaged over so much of it
SMOOTHING = 5  # pixels, of the residual
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995)


@dataclass(frozen=True, kw_only=True)
class Networks:
    """The averaged generator and the discriminator of a finished run."""

    recipe: Recipe
    generator: Generator
    discriminator: Discriminator


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """`features` `[view, image, feature]` and anomaly `scores` `[image, score]` (mirror mean)."""

    features: NDArray[np.float32]
    scores: NDArray[np.float64]


def load(run_folder: Path) -> Networks:
    """The networks of a finished run.

    Raises FileNotFoundError without a run, ValueError for one of another method.
    """
    recipe = config.load(run_folder / "recipe.toml")
    saved = checkpoint.load(run_folder)
    if saved is None:
        raise FileNotFoundError(f"{run_folder} holds no checkpoint: `neurosieve-train run` first.")
    if recipe.method != "restoring" or not recipe.single_images:
        raise ValueError(f"{run_folder} is no restoring GAN of single images.")
    method = Restoring(recipe)
    method.networks.load_state_dict(saved["networks"])
    averaged = method.networks["averaged"].eval()
    assert isinstance(averaged, Generator)
    return Networks(recipe=recipe, generator=averaged, discriminator=method.discriminator.eval())


def see(networks: Networks, images: Images, heads: NDArray[np.bool_], *, views: int) -> Seen:
    """Framed images `[image, row, column]` as they stand, mirrored, and in varied views."""
    parts, scores = [], []
    chance = Chance().manual_seed(SEED)
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            image = torch.from_numpy(images[start : start + BATCH])[:, None]
            head = torch.from_numpy(heads[start : start + BATCH])[:, None]
            looked = [look(networks, *view) for view in variants(image, head, views, chance)]
            parts.append(torch.stack([features for features, _ in looked]).numpy())
            scores.append(torch.stack([score for _, score in looked[:2]]).mean(dim=0).numpy())
    return Seen(
        features=np.concatenate(parts, axis=1),
        scores=np.concatenate(scores).astype(np.float64),
    )


def variants(
    image: Tensor, head: Tensor, count: int, chance: Chance
) -> Iterator[tuple[Tensor, Tensor]]:
    """The image, its mirror image, then views varied as in training."""
    yield image, head
    yield image.flip(-1), head.flip(-1)
    for _ in range(count - 2):
        yield corruption.augment(image, head, chance)


def look(networks: Networks, image: Tensor, head: Tensor) -> tuple[Tensor, Tensor]:
    """Features `[image, feature]` and anomaly scores `[image, 3]` of one view."""
    inside = head.float()
    restored, mark = networks.generator(image).chunk(2, dim=1)
    residual = (image - restored) * inside
    smooth = box_mean(residual, SMOOTHING).abs()
    distance = feature_distance(networks.discriminator, image, restored) * inside
    marked = torch.sigmoid(mark) * inside
    maps = (smooth, distance, marked)
    scores = torch.cat([strongest(one, inside) for one in maps], dim=1)
    levels = [*encoded(networks.generator, image), *networks.discriminator.features(image)]
    described = [value for level in levels for value in pooled(level, inside)]
    shares = [spread(one, head) for one in (*maps, residual.clamp(min=0), -residual.clamp(max=0))]
    return torch.cat([*described, *shares], dim=1), scores


def encoded(generator: Generator, image: Tensor) -> list[Tensor]:
    """The generator's levels on the way down."""
    features = functional.pixel_unshuffle(image, 2)
    levels: list[Tensor] = []
    for down in generator.down:
        features = down(functional.avg_pool2d(features, 2) if levels else features)
        levels.append(features)
    return levels


def pooled(level: Tensor, inside: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, deviation and strongest answers of each channel inside the head `[image, channel]`."""
    weight = functional.adaptive_avg_pool2d(inside, (level.shape[-2], level.shape[-1]))
    total = weight.sum(dim=(2, 3)).clamp(min=1e-3)
    mean = (level * weight).sum(dim=(2, 3)) / total
    square = ((level - mean[..., None, None]).square() * weight).sum(dim=(2, 3)) / total
    kept = torch.where(weight > 0.3, level, level.amin(dim=(2, 3), keepdim=True))
    most = max(4, round(TOP_SHARE * level[0, 0].numel()))
    return mean, square.sqrt(), kept.flatten(2).topk(most, dim=2).values.mean(dim=2)


def strongest(one: Tensor, inside: Tensor) -> Tensor:
    """Mean of the highest hundredth of the head `[image, 1]`."""
    most = max(1, round(TOP_SHARE * float(inside.mean()) * one[0].numel()))
    return one.flatten(1).topk(most, dim=1).values.mean(dim=1, keepdim=True)


def spread(one: Tensor, head: Tensor) -> Tensor:
    """Quantiles of a map inside the head `[image, quantile]`."""
    at = torch.tensor(QUANTILES)
    return torch.stack(
        [torch.quantile(values[mask], at) for values, mask in zip(one, head, strict=True)]
    )

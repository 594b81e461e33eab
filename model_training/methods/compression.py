"""Small networks that press a slice into a few numbers and paint one from a few numbers.

Strided convolutions as in Radford et al. 2016, for the methods of the literature that have a
bottleneck. They see the middle slice at a reduced size, from -1 (air) to 1. Where a network is
normalised, it is by groups and not over the batch: a batch of one behaves alike.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_training import losses
from model_training.config import Recipe
from model_training.methods.method import Batch, middle

SMALLEST = 4  # pixels of the last level, each way
HALF_RANGE = 0.6  # images reach from air 0 to 1.2
WIDEST = 8  # times the width
AROUND = 15  # reduced pixels, each way
LEAST_KNOWN = 0.05  # share of the square that must be brain


class Narrowing(nn.Module):
    """Halves an image until 4 x 4 pixels are left, then gives `outputs` numbers."""

    def __init__(self, *, size: int, width: int, outputs: int, normalised: bool) -> None:
        super().__init__()
        widths = [1, *channels(size, width)]
        self.steps = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 4, 2, 1),
                nn.GroupNorm(8, after) if normalised else nn.Identity(),
                nn.LeakyReLU(0.2),
            )
            for before, after in pairwise(widths)
        )
        self.last = nn.Linear(widths[-1] * SMALLEST**2, outputs)

    def levels(self, image: Tensor) -> list[Tensor]:
        """[b, 1, size, size] -> [b, c, s, s] of each halving."""
        found = []
        for step in self.steps:
            image = step(image)
            found.append(image)
        return found

    def answer(self, levels: list[Tensor]) -> Tensor:
        """The numbers [b, outputs] from the levels of an image."""
        numbers: Tensor = self.last(levels[-1].flatten(1))
        return numbers

    def forward(self, image: Tensor) -> Tensor:
        """[b, 1, size, size] -> [b, outputs]."""
        return self.answer(self.levels(image))


class Widening(nn.Module):
    """[b, latent] -> [b, 1, size, size] from -1 to 1: doubles 4 x 4 pixels up to the size."""

    def __init__(self, *, size: int, width: int, latent: int) -> None:
        super().__init__()
        widths = channels(size, width)[::-1]
        self.first = nn.Linear(latent, widths[0] * SMALLEST**2)
        self.steps = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(8, before),
                nn.ReLU(),
                # A transposed convolution painted a chessboard.
                nn.Upsample(scale_factor=2),
                nn.Conv2d(before, after, 3, padding=1),
            )
            for before, after in zip(widths, [*widths[1:], 1], strict=True)
        )

    def forward(self, numbers: Tensor) -> Tensor:
        """Paints one image for each row of numbers."""
        image: Tensor = self.first(numbers).unflatten(1, (-1, SMALLEST, SMALLEST))
        for step in self.steps:
            image = step(image)
        return image.tanh()


class Repainting(nn.Module):
    """Slices -> the middle one, pressed into a few numbers and painted from them."""

    def __init__(self, encoder: nn.Module, painter: nn.Module, inner_size: int) -> None:
        super().__init__()
        self.encoder, self.painter, self.inner_size = encoder, painter, inner_size

    def forward(self, slices: Tensor) -> Tensor:
        """[b, context, h, w] -> [b, 1, h, w]."""
        numbers = self.encoder(reduced(middle(slices), self.inner_size))
        return enlarged(self.painter(numbers), slices.shape[-1])


def channels(size: int, width: int) -> list[int]:
    """Channels after each halving, doubled up to `WIDEST` widths."""
    return [width * min(2**level, WIDEST) for level in range(int(math.log2(size // SMALLEST)))]


def check(recipe: Recipe) -> None:
    """Raises ValueError for an inner size that cannot be halved down to 4 or does not fit."""
    size = recipe.inner_size
    if size <= SMALLEST or size & (size - 1) or recipe.size % size:
        raise ValueError(
            f"The recipe's inner_size {size} must be a power of two above {SMALLEST} that divides "
            f"its size, {recipe.size}."
        )


def normal(batch: Batch, size: int) -> Tensor:
    """The clean middle slices as the small networks see them.

    These networks look at whole slices. So white-matter lesions, which are cut out of the mask of a
    subject without tumour, are painted over with the mean of the brain around them.
    """
    factor = batch.target.shape[-1] // size
    image, known = (functional.avg_pool2d(part, factor) for part in (batch.target, batch.support))
    near = around(known)
    mean = around(image * known) / near.clamp(min=LEAST_KNOWN)
    cut_out = (image > 0) & (known < 0.5) & (near > LEAST_KNOWN)
    return scaled(torch.where(cut_out, mean, image))


def around(maps: Tensor) -> Tensor:
    """Mean over a square of `AROUND` pixels."""
    return losses.box_mean(maps, AROUND)


def reduced(image: Tensor, size: int) -> Tensor:
    """A slice [b, 1, h, w] as the small networks see it, [b, 1, size, size]."""
    return scaled(functional.avg_pool2d(image, image.shape[-1] // size))


def scaled(image: Tensor) -> Tensor:
    """From the slices' grey scale to -1 (air) to 1."""
    return image / HALF_RANGE - 1


def enlarged(painted: Tensor, size: int) -> Tensor:
    """What a small network painted, back in the slice's size and grey scale."""
    return functional.interpolate(HALF_RANGE * (painted + 1), size=size, mode="bilinear")

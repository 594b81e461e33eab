"""What every way of training has in common, so that one loop trains and one command evaluates all.

A method learns from `Batch`es and hands over `Parts`: what is put into the shipped graph. A part
that a method does not have gives a map of zeros, which the fusion then weighs with 0.
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Generator, Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Tumour-free slices `[batch, context, height, width]` and what was done to them.

    `brain`, `support` (brain and a rim of 2 pixels), `changed` (where damage shows) and `foreign`
    (where a lump was put in, 0 to 1) are of the middle slice, `[batch, 1, height, width]`; `chance`
    is the run's only source of chance.
    """

    clean: Tensor
    damaged: Tensor
    brain: Tensor
    support: Tensor
    changed: Tensor
    foreign: Tensor
    chance: Generator

    @property
    def target(self) -> Tensor:
        """The clean middle slice `[batch, 1, height, width]`."""
        return middle(self.clean)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a trained method ships.

    `restorer`: slices `[b, context, h, w]` -> tumour-free middle slice `[b, 1, h, w]`.
    `critic`: has `features(image [b, 1, h, w]) -> list of [b, c, h', w']`, compared between input
    and restoration. `marker`: slices -> logit of "this voxel was damaged" `[b, 1, h, w]`.
    """

    restorer: nn.Module | None
    critic: nn.Module | None
    marker: nn.Module | None


class Method(Protocol):
    """One way of learning what is normal."""

    networks: nn.ModuleDict
    """All that is learnt, averaged copies included: what a checkpoint keeps."""
    optimisers: dict[str, Optimizer]
    columns: tuple[str, ...]
    """Names of the values that `learn` returns, in the order of the loss table."""

    def learn(self, batch: Batch, *, step: int) -> dict[str, float]:
        """One optimiser step of everything; `step` counts from 0."""

    def parts(self) -> Parts:
        """The trained networks in evaluation mode."""


def middle(slices: Tensor) -> Tensor:
    """The middle slice `[b, 1, h, w]` of `[b, context, h, w]`."""
    at = slices.shape[1] // 2
    return slices[:, at : at + 1]

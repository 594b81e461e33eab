"""A network that only marks synthetic lesions: no restoration, no discriminator.

What it finds is what its training lesions taught it, which makes it the control for the marks of
the default method.
"""

import torch
from torch import nn
from torch.optim import Optimizer

from model_training import losses, precision
from model_training.config import Recipe
from model_training.methods.method import Batch, Parts
from model_training.networks import Generator


class Segmenting:
    """A U-Net with one answer: the logit of "a lump was put in here"."""

    columns: tuple[str, ...] = ("marking", "gradient")

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.marker = Generator(
            context=recipe.context,
            width=recipe.generator_width,
            outputs=1,
            mirrored=recipe.mirrored,
        )
        self.marker.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.networks = nn.ModuleDict({"marker": self.marker})
        self.optimisers: dict[str, Optimizer] = {
            "generator": torch.optim.Adam(
                self.marker.parameters(), lr=recipe.generator_rate, betas=(0.9, 0.99)
            )
        }

    def learn(self, batch: Batch, *, step: int) -> dict[str, float]:  # noqa: ARG002
        """One step toward the lumps of the batch."""
        with precision.half(self.recipe.mixed_precision, batch.damaged.device):
            logits = self.marker(batch.damaged.contiguous(memory_format=torch.channels_last))
        loss = losses.marking(logits.float(), batch.foreign, batch.brain)
        self.optimisers["generator"].zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradient = nn.utils.clip_grad_norm_(self.marker.parameters(), 1.0)
        self.optimisers["generator"].step()
        return {"marking": loss.item(), "gradient": gradient.item()}

    def parts(self) -> Parts:
        """The marks alone."""
        return Parts(restorer=None, critic=None, marker=self.marker.eval())

"""The threshold on FLAIR brightness: nothing is learnt, and every learnt method must beat it.

Brightness is handed over as the marks, not as the residual against a grey restoration: that would
let the structural map take part, and a threshold knows no structure.
"""

from torch import Tensor, nn
from torch.optim import Optimizer

from agent.imaging.preprocess import MAX_VALUE
from model_training.config import Recipe
from model_training.methods.method import Batch, Parts, middle

LEAST = 1e-4  # of the range: the logit of 0 and of 1 does not exist


class Brightness:
    """A method without networks, scored like every other: against what is usual at a place."""

    columns: tuple[str, ...] = ()

    def __init__(self, recipe: Recipe) -> None:
        if recipe.max_steps:
            raise ValueError(
                f"The method {recipe.method!r} has nothing to learn; set max_steps = 0."
            )
        self.networks = nn.ModuleDict()
        self.optimisers: dict[str, Optimizer] = {}

    def learn(self, batch: Batch, *, step: int) -> dict[str, float]:  # noqa: ARG002
        """Nothing."""
        return {}

    def parts(self) -> Parts:
        """How bright a voxel is, as its mark."""
        return Parts(restorer=None, critic=None, marker=BrightnessLogit().eval())


class BrightnessLogit(nn.Module):
    """The logit whose sigmoid is the brightness, 0 for air and 1 for the brightest value."""

    def forward(self, slices: Tensor) -> Tensor:
        """[b, context, h, w] -> [b, 1, h, w]."""
        share = (middle(slices) / MAX_VALUE).clamp(LEAST, 1 - LEAST)
        return share.log() - (1 - share).log()

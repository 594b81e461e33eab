"""Trains the brain network and writes it as ONNX."""

import logging
import math
import time
import warnings
from pathlib import Path

import torch
from torch import Generator as Chance
from torch import Tensor, nn
from torch.nn import functional

from agent.imaging import brain
from model_training import precision
from model_training.brain import contrast
from model_training.brain.views import Views
from model_training.networks import Generator

log = logging.getLogger(__name__)

WIDTH = 24
BATCH = 16
RATE = 2e-3
WARMUP_STEPS = 50
DECAY = 0.995
OPSET = 18
SMALL_SHARE = 0.6  # of a usual section: smaller ones, skull base and vertex, are the hard ones
SMALL_WEIGHT = 2.5  # how much more often they are drawn


class BrainNetwork(nn.Module):
    """`[batch, CONTEXT, SIZE, SIZE]` -> probability of brain `[batch, SIZE, SIZE]`."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.net = Generator(context=brain.CONTEXT, width=width)

    def forward(self, slices: Tensor) -> Tensor:
        """Probabilities; `net` gives the logits."""
        return torch.sigmoid(self.net(slices)[:, 0])


def train(
    views: Views, *, steps: int, seed: int, threads: int, first: BrainNetwork | None = None
) -> BrainNetwork:
    """The averaged network after `steps` batches, which begin with `first` where it is given."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    chance = Chance().manual_seed(seed)
    network, averaged = BrainNetwork(), BrainNetwork()
    if first is not None:
        network.load_state_dict(first.state_dict())
    averaged.load_state_dict(network.state_dict())
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-4)
    weights = frequencies(views)
    began = time.monotonic()
    for step in range(steps):
        warm = min(1.0, (step + 1) / WARMUP_STEPS)
        for group in optimiser.param_groups:
            group["lr"] = RATE * warm * (0.02 + 0.49 * (1 + math.cos(math.pi * step / steps)))
        value = learn(network, optimiser, views, weights, chance)
        decay = min(DECAY, (1 + step) / (10 + step))
        with torch.no_grad():
            pairs = zip(averaged.parameters(), network.parameters(), strict=True)
            for slow, fast in pairs:
                slow.lerp_(fast, 1 - decay)
        if step % 50 == 0:
            log.info("step %d, %.0f s, loss %.4f", step, time.monotonic() - began, value)
    return averaged.eval().requires_grad_(False)


def frequencies(views: Views) -> Tensor:
    """How often each slice is drawn: small sections of the brain more often than large ones."""
    area = views.labels.float().sum(dim=(1, 2))
    small = (area > 0) & (area < SMALL_SHARE * area[area > 0].quantile(0.75))
    return 1.0 + (SMALL_WEIGHT - 1.0) * small.float()


def learn(
    network: BrainNetwork,
    optimiser: torch.optim.Optimizer,
    views: Views,
    weights: Tensor,
    chance: Chance,
) -> float:
    """One step."""
    chosen = torch.multinomial(weights, BATCH, replacement=True, generator=chance)
    image = views.images[views.neighbours[chosen]].float()
    label = views.labels[chosen].float()[:, None]
    image, label = contrast.vary(image, label, chance)
    with precision.half(True, image.device):
        logits = network.net(image.contiguous(memory_format=torch.channels_last)).float()
    loss = functional.binary_cross_entropy_with_logits(logits, label)
    likely = torch.sigmoid(logits)
    shared = (likely * label).sum(dim=(1, 2, 3))
    dice = (2 * shared + 50) / (likely.sum(dim=(1, 2, 3)) + label.sum(dim=(1, 2, 3)) + 50)
    loss = loss + 0.5 * (1 - dice).mean()
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    return loss.item()


def export(network: BrainNetwork, path: Path) -> None:
    """Writes the network as one ONNX file."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    example = (torch.rand(2, brain.CONTEXT, brain.SIZE, brain.SIZE),)
    with warnings.catch_warnings():
        # The exporter's own use of deprecated torch calls; nothing to act on here.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            example,
            str(path),
            input_names=["slices"],
            output_names=["probability"],
            dynamic_shapes={"slices": {0: batch}},
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )

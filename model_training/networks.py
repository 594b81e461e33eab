"""The restoring generator and the patch discriminator."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from model_training import losses
from model_training.methods.method import middle

LOGIT_GAIN = 10.0
DETAIL_GAIN = 8.0
FEATURE_BOX = 9


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3 x 3 convolutions, then normalised by groups so that a batch of one behaves alike.

    Once and not after each convolution: half of a CPU's training time went into normalising.
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.GroupNorm(8, outputs),
        nn.SiLU(),
    )


class Generator(nn.Module):
    """A U-Net that paints `outputs` maps of the middle slice, at first that slice without anomaly.

    Works on 2 x 2 pixels as channels: four times less work at full resolution, which is what a CPU
    can train. It paints the slice anew rather than adding a change to it: with a change to learn,
    "change nothing" is a valley that 250 steps did not leave. `mirrored`: it also sees the middle
    slice with left and right exchanged, since a tumour is seldom where its mirror image is.
    """

    def __init__(
        self, *, context: int, width: int, outputs: int = 1, mirrored: bool = False
    ) -> None:
        super().__init__()
        self.mirrored = mirrored
        widths = [width, 2 * width, 3 * width, 4 * width]
        self.down = nn.ModuleList(
            block(inputs, outputs)
            for inputs, outputs in zip([4 * (context + mirrored), *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            block(widths[level + 1] + widths[level], widths[level]) for level in (2, 1, 0)
        )
        self.paint = nn.Conv2d(width, 4 * outputs, 1)

    def forward(self, slices: Tensor) -> Tensor:
        """[batch, context, height, width] -> [batch, outputs, height, width]."""
        if self.mirrored:
            slices = torch.cat([slices, middle(slices).flip(-1)], dim=1)
        features = functional.pixel_unshuffle(slices, 2)
        skips = []
        for level, down in enumerate(self.down):
            features = down(features)
            if level < len(self.down) - 1:
                skips.append(features)
                features = functional.avg_pool2d(features, 2)
        for up in self.up:
            features = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = up(torch.cat([features, skips.pop()], dim=1))
        return functional.pixel_shuffle(self.paint(features), 2)


class Discriminator(nn.Module):
    """A PatchGAN whose three feature levels also measure how far two slices differ.

    It sees the slice and, eight times enlarged, what the slice has beyond its own 5 x 5 mean:
    restorations differ from brain by fine texture of a few hundredths. With spectral norm (Miyato
    et al. 2018) each level may change by no more than its input does, so the logits are scaled up;
    unscaled, the hinge loss stayed at its start value and nothing was learnt.
    """

    def __init__(self, *, width: int, spectral: bool = True) -> None:
        super().__init__()

        def convolution(inputs: int, outputs: int, size: int, stride: int) -> nn.Module:
            layer = nn.Conv2d(inputs, outputs, size, stride, 1)
            return parametrizations.spectral_norm(layer) if spectral else layer

        self.levels = nn.ModuleList(
            nn.Sequential(convolution(inputs, outputs, 4, 2), nn.LeakyReLU(0.2))
            for inputs, outputs in ((2, width), (width, 2 * width), (2 * width, 4 * width))
        )
        self.judge = convolution(4 * width, 1, 3, 1)
        self.gain = LOGIT_GAIN if spectral else 1.0

    def features(self, image: Tensor) -> list[Tensor]:
        """The three levels, at half, quarter and eighth resolution."""
        fine = DETAIL_GAIN * (image - losses.box_mean(image, 5))
        signal = torch.cat([image, fine], dim=1)
        levels = []
        for level in self.levels:
            signal = level(signal)
            levels.append(signal)
        return levels

    def verdict(self, levels: list[Tensor]) -> Tensor:
        """One logit for each 8 x 8 patch, high for tumour-free, from the levels of an image."""
        logits: Tensor = self.gain * self.judge(levels[-1])
        return logits

    def forward(self, image: Tensor) -> Tensor:
        """[batch, 1, height, width] -> one logit for each 8 x 8 patch, high for tumour-free."""
        return self.verdict(self.features(image))


class Critic(Protocol):
    """Anything whose features tell two slices apart."""

    def features(self, image: Tensor) -> list[Tensor]:
        """Levels [b, c, h', w'] of an image [b, 1, h, w]."""


def feature_distance(critic: Critic, first: Tensor, second: Tensor) -> Tensor:
    """Mean over levels of the distance between the features of both, smoothed, at full size.

    Unsmoothed, what differs most is noise, which no restoration repeats; and with channels
    normalised, as LPIPS does it, a faint difference in dark tissue counts like a tumour.
    """
    size = first.shape[-2:]
    smooth = losses.box_mean(first, FEATURE_BOX), losses.box_mean(second, FEATURE_BOX)
    pairs = zip(critic.features(smooth[0]), critic.features(smooth[1]), strict=True)
    distances = [
        functional.interpolate(
            (one - other).square().sum(1, keepdim=True).sqrt(), size=size, mode="bilinear"
        )
        for one, other in pairs
    ]
    return torch.stack(distances).mean(dim=0)

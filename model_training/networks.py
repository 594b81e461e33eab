"""The restoring generator, the patch discriminator, and the graph that is shipped."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3 x 3 convolutions, each normalised by groups so that a batch of one behaves alike."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.GroupNorm(8, outputs),
        nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.GroupNorm(8, outputs),
        nn.SiLU(),
    )


class Generator(nn.Module):
    """A U-Net that returns the slice as it would look without an anomaly.

    Works on 2 x 2 pixels as channels: four times less work at full resolution, which is what a CPU
    can train. It paints the slice anew rather than adding a change to it: with a change to learn,
    "change nothing" is a valley that 250 steps did not leave.
    """

    def __init__(self, *, context: int, width: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 3 * width, 4 * width]
        self.down = nn.ModuleList(
            block(inputs, outputs)
            for inputs, outputs in zip([4 * context, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            block(widths[level + 1] + widths[level], widths[level]) for level in (2, 1, 0)
        )
        self.paint = nn.Conv2d(width, 4, 1)

    def forward(self, slices: Tensor) -> Tensor:
        """[batch, context, height, width] -> [batch, 1, height, width]."""
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

    No spectral norm: with it the hinge loss stayed at its start value and nothing was learnt.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2)),
                nn.Sequential(
                    nn.Conv2d(width, 2 * width, 4, 2, 1),
                    nn.GroupNorm(8, 2 * width),
                    nn.LeakyReLU(0.2),
                ),
                nn.Sequential(
                    nn.Conv2d(2 * width, 4 * width, 4, 2, 1),
                    nn.GroupNorm(8, 4 * width),
                    nn.LeakyReLU(0.2),
                ),
            ]
        )
        self.judge = nn.Conv2d(4 * width, 1, 3, 1, 1)

    def features(self, image: Tensor) -> list[Tensor]:
        """The three levels, at half, quarter and eighth resolution."""
        levels = []
        for level in self.levels:
            image = level(image)
            levels.append(image)
        return levels

    def forward(self, image: Tensor) -> Tensor:
        """[batch, 1, height, width] -> one logit for each 8 x 8 patch, high for tumour-free."""
        logits: Tensor = self.judge(self.features(image)[-1])
        return logits


def feature_distance(discriminator: Discriminator, first: Tensor, second: Tensor) -> Tensor:
    """Mean over levels of the distance between channel-normalised features, at full size."""
    size = first.shape[-2:]
    total = torch.zeros_like(first)
    pairs = zip(discriminator.features(first), discriminator.features(second), strict=True)
    for one, other in pairs:
        one = one / (one.square().sum(1, keepdim=True) + 1e-6).sqrt()
        other = other / (other.square().sum(1, keepdim=True) + 1e-6).sqrt()
        distance = (one - other).square().sum(1, keepdim=True)
        total = total + functional.interpolate(distance, size=size, mode="bilinear")
    return total / len(discriminator.levels)

"""Makes one FLAIR volume look like many scans: grey values, skull, coverage, place.

Images are [batch, CONTEXT, height, width], air 0; labels [batch, 1, height, width], 0 to 1. The
generator lives on their device.
"""

import torch
from torch import Generator, Tensor
from torch.nn import functional

from model_training.corruption import smooth_noise, uniform
from model_training.methods.method import middle

POINTS = 9  # of a grey-value curve, evenly spaced from air to the brightest value
MAX_VALUE = 1.5


def vary(image: Tensor, label: Tensor, chance: Generator) -> tuple[Tensor, Tensor]:
    """Another scan of the same heads; all slices of one sample change alike."""
    image, label = moved(image, label, chance)
    image = recoloured(image, label, chance)
    image = torch.where(uniform(image, chance) < 0.2, stripped(image, label, chance), image)
    alone = uniform(image, chance) < 0.25
    image = torch.where(alone, middle(image).expand_as(image), image)
    image = shaded(image, chance)
    strength = 0.04 * uniform(image, chance)
    noise = torch.randn(image.shape, generator=chance, device=image.device)
    return (image + strength * noise).clamp(0.0, MAX_VALUE), label


def moved(image: Tensor, label: Tensor, chance: Generator) -> tuple[Tensor, Tensor]:
    """Turned, mirrored, scaled, shifted; what leaves the square is cut off."""
    angle = 0.3 * (2 * uniform(image, chance) - 1)
    scale = (0.3 * (2 * uniform(image, chance) - 1)).exp()
    stretch = (0.1 * (2 * uniform(image, chance) - 1)).exp()
    mirror = torch.where(uniform(image, chance) < 0.5, -1.0, 1.0)
    matrix = torch.zeros(len(image), 2, 3, device=image.device)
    matrix[:, 0, 0] = (mirror * scale * angle.cos()).flatten()
    matrix[:, 0, 1] = (-scale * angle.sin()).flatten()
    matrix[:, 1, 0] = (mirror * scale * stretch * angle.sin()).flatten()
    matrix[:, 1, 1] = (scale * stretch * angle.cos()).flatten()
    shift = torch.rand(len(image), 2, generator=chance, device=image.device)
    matrix[:, :, 2] = 0.15 * (2 * shift - 1)
    grid = functional.affine_grid(matrix, list(image.shape), align_corners=False)
    both = functional.grid_sample(torch.cat([image, label], 1), grid, align_corners=False)
    return both[:, :-1], both[:, -1:]


def recoloured(image: Tensor, label: Tensor, chance: Generator) -> Tensor:
    """As it was, with a bent curve, with a random curve, or with one curve for the brain and
    another for the rest: fluid may then be bright, as on T2, or grey matter darker, as on T1."""
    bend = torch.randn(len(image), 1, 1, 1, generator=chance, device=image.device)
    bent = image.clamp(min=0) ** (0.5 * bend).exp()
    outside = curve(image, chance)
    inside = curve(image, chance)
    torn = torch.lerp(outside, inside, label)
    kind = uniform(image, chance)
    changed = torch.where(kind < 0.8, outside, torn)
    return torch.where(kind < 0.6, bent, changed)


def curve(image: Tensor, chance: Generator) -> Tensor:
    """Grey values sent through a random curve that keeps air at 0."""
    heights = 1.2 * torch.rand(len(image), POINTS, generator=chance, device=image.device)
    heights[:, 0] = 0.0
    place = (image / MAX_VALUE).clamp(0, 1) * (POINTS - 1)
    lower = place.floor().clamp(max=POINTS - 2).long()
    flat = lower.flatten(1)
    low = heights.gather(1, flat).view_as(image)
    high = heights.gather(1, flat + 1).view_as(image)
    return torch.lerp(low, high, place - lower)


def stripped(image: Tensor, label: Tensor, chance: Generator) -> Tensor:
    """Without skull: nothing beyond a random margin around the label."""
    wide = functional.max_pool2d(label, 7, 1, 3)
    edge = torch.where(uniform(image, chance) < 0.5, label, wide)
    return image * (edge > 0.5)


def shaded(image: Tensor, chance: Generator) -> Tensor:
    """A coil's shading."""
    smooth = smooth_noise(image, chance, 3)
    strength = 0.25 * uniform(image, chance)
    return image * (strength * smooth).exp()

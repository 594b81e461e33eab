"""Damages tumour-free slices so that the generator learns to undo what does not belong.

Images are [batch, 1, height, width], air 0, brain tissue about 0.4, cut at 1.2. All chance comes
from the generator that is passed in, so that a resumed run repeats an unbroken one.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class CorruptionSettings:
    """Shares of the kinds of damage (the rest stays clean) and how strong each may be."""

    lesion_share: float = 0.55
    blob_share: float = 0.2
    coarse_share: float = 0.15
    largest_shift: float = 0.4
    coarse_deviation: float = 0.12


def corrupt(
    image: Tensor, brain: Tensor, chance: Generator, settings: CorruptionSettings
) -> Tensor:
    """The damaged batch; only voxels inside the brain change.

    The kinds follow each other through the batch, which is drawn at random before.
    """
    shares = (settings.lesion_share, settings.blob_share, settings.coarse_share)
    lesion, blob, coarse = (round(share * len(image)) for share in shares)
    parts = [
        with_lesions(image[:lesion], brain[:lesion], chance, settings.largest_shift),
        with_blob_noise(image[lesion:][:blob], brain[lesion:][:blob], chance),
        with_coarse_noise(image[lesion + blob :][:coarse], chance, settings.coarse_deviation),
        image[lesion + blob + coarse :],
    ]
    return torch.where(brain, torch.cat(parts).clamp(0.0, 1.2), image)


def with_lesions(image: Tensor, brain: Tensor, chance: Generator, largest: float) -> Tensor:
    """One or two lumps of shifted, partly flattened tissue; some with a dark core."""
    second = uniform(image, chance) < 0.5
    for number in range(2):
        lump, core = shapes(image, brain, chance)
        shift = 0.04 + largest * uniform(image, chance) ** 1.3
        dark = uniform(image, chance) < 0.2
        shift = torch.where(dark, -0.7 * shift, shift)
        flatness = 0.7 * uniform(image, chance)
        tissue = functional.avg_pool2d(image, 9, 1, 4)
        texture = 0.25 * shift * smooth_noise(image, chance, 24)
        target = torch.lerp(image, tissue, flatness) + shift + texture
        hollow = uniform(image, chance) < 0.25
        target = torch.where(hollow, torch.lerp(target, 0.3 * tissue, core), target)
        damaged = torch.lerp(image, target, lump)
        image = damaged if number == 0 else torch.where(second, damaged, image)
    return image


def with_blob_noise(image: Tensor, brain: Tensor, chance: Generator) -> Tensor:
    """Noise of a random grain inside one lump."""
    lump, _ = shapes(image, brain, chance)
    grain = torch.where(
        uniform(image, chance) < 0.5,
        smooth_noise(image, chance, 16),
        smooth_noise(image, chance, 48),
    )
    return image + lump * grain * (0.05 + 0.25 * uniform(image, chance))


def with_coarse_noise(image: Tensor, chance: Generator, deviation: float) -> Tensor:
    """Coarse Gaussian noise over the whole slice (Kascenas et al. 2022)."""
    strength = deviation * (0.4 + 0.9 * uniform(image, chance))
    return image + strength * smooth_noise(image, chance, 16)


def shapes(image: Tensor, brain: Tensor, chance: Generator) -> tuple[Tensor, Tensor]:
    """A soft, deformed ellipse around a random brain voxel, and its core, both from 0 to 1."""
    height, width = image.shape[-2:]
    # Drawn on a grid of 4 x 4 pixels: sixteen times cheaper, and centres need no more.
    weight = functional.avg_pool2d(brain.float(), 4) + 1e-6
    cell = torch.multinomial(weight.flatten(1), 1, generator=chance).view(-1, 1, 1, 1)
    across_cells = weight.shape[-1]
    rows = torch.arange(height).view(1, 1, -1, 1) - (4 * (cell // across_cells) + 2)
    columns = torch.arange(width).view(1, 1, 1, -1) - (4 * (cell % across_cells) + 2)
    angle = torch.pi * uniform(image, chance)
    along = rows * angle.cos() + columns * angle.sin()
    across = columns * angle.cos() - rows * angle.sin()
    # Log-uniform from 3 to 24 pixels: small lesions are as frequent as large ones.
    radius = 3.0 * 8.0 ** uniform(image, chance)
    stretch = 0.6 + 0.8 * uniform(image, chance)
    distance = ((along / (radius * stretch)) ** 2 + (across * stretch / radius) ** 2).sqrt()
    distance = distance + 0.35 * smooth_noise(image, chance, 10) * (radius > 4.0)
    softness = 0.04 + 0.3 * uniform(image, chance)
    lump = torch.sigmoid((1.0 - distance) / softness)
    core = torch.sigmoid((0.6 - distance) / 0.1)
    return lump, core


def smooth_noise(image: Tensor, chance: Generator, cells: int) -> Tensor:
    """Unit normal noise on a coarse grid, enlarged to the image."""
    coarse = torch.randn(len(image), 1, cells, cells, generator=chance)
    return functional.interpolate(coarse, size=image.shape[-2:], mode="bilinear")


def uniform(image: Tensor, chance: Generator) -> Tensor:
    """One number from 0 to 1 for each image."""
    return torch.rand(len(image), 1, 1, 1, generator=chance)


def augment(image: Tensor, brain: Tensor, chance: Generator) -> tuple[Tensor, Tensor]:
    """Mirror, turn, scale, bend the grey scale and add a coil's shading."""
    angle = 0.17 * (2 * uniform(image, chance) - 1)
    scale = 1.0 + 0.08 * (2 * uniform(image, chance) - 1)
    mirror = torch.where(uniform(image, chance) < 0.5, -1.0, 1.0)
    shift = 0.05 * (2 * torch.rand(len(image), 2, generator=chance) - 1)
    matrix = torch.zeros(len(image), 2, 3)
    matrix[:, 0, 0] = (mirror * scale * angle.cos()).flatten()
    matrix[:, 0, 1] = (-scale * angle.sin()).flatten()
    matrix[:, 1, 0] = (mirror * scale * angle.sin()).flatten()
    matrix[:, 1, 1] = (scale * angle.cos()).flatten()
    matrix[:, :, 2] = shift
    grid = functional.affine_grid(matrix, list(image.shape), align_corners=False)
    image = functional.grid_sample(image, grid, align_corners=False)
    brain = functional.grid_sample(brain.float(), grid, align_corners=False) > 0.5
    shading = (0.12 * uniform(image, chance) * smooth_noise(image, chance, 3)).exp()
    gamma = 1.0 + 0.15 * (2 * uniform(image, chance) - 1)
    image = 0.4 * (image.clamp(min=0.0) / 0.4) ** gamma * shading
    return image.clamp(0.0, 1.2), brain

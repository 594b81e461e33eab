"""Damages tumour-free slices so that the networks learn what does not belong.

Images are [batch, context, height, width], air 0, brain tissue about 0.4, cut at 1.2; the slices of
one sample are neighbours and are damaged by the same lesion, as a tumour would. All chance comes
from the generator that is passed in, so that a resumed run repeats an unbroken one; it lives on the
device of the images, and so does everything that is made here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from model_training import losses
from model_training.methods.method import middle


@dataclass(frozen=True, kw_only=True)
class CorruptionSettings:
    """Shares of the kinds of damage (the rest stays clean) and how strong each may be."""

    lesion_share: float = 0.4
    mass_share: float = 0.15
    patch_share: float = 0.1
    blob_share: float = 0.15
    coarse_share: float = 0.1
    largest_shift: float = 0.4
    coarse_deviation: float = 0.12


@dataclass(frozen=True, kw_only=True)
class Lump:
    """A soft, deformed ball through the slices of each sample; all maps [b, c, h, w], 0 to 1.

    `core` is its inside. `rows` and `columns` are the distances in pixels from its middle, `radius`
    [b, 1, 1, 1] is its size in the slice it is centred on.
    """

    inside: Tensor
    core: Tensor
    rows: Tensor
    columns: Tensor
    radius: Tensor


def corrupt(
    image: Tensor, brain: Tensor, chance: Generator, settings: CorruptionSettings
) -> tuple[Tensor, Tensor]:
    """The damaged batch, and where its middle slices hold a foreign lump [b, 1, h, w].

    Only voxels inside the brain change. The kinds follow each other through the batch, which is
    drawn at random before.
    """
    kinds: list[tuple[float, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]]] = [
        (
            settings.lesion_share,
            lambda part, inside: with_lesions(part, inside, chance, settings.largest_shift),
        ),
        (settings.mass_share, lambda part, inside: with_mass(part, inside, chance)),
        (settings.patch_share, lambda part, inside: with_foreign_patch(part, inside, chance)),
        (settings.blob_share, lambda part, inside: with_blob_noise(part, inside, chance)),
        (
            settings.coarse_share,
            lambda part, _: with_coarse_noise(part, chance, settings.coarse_deviation),
        ),
    ]
    damaged, marks = [], []
    start = 0
    for share, damage in kinds:
        end = min(start + round(share * len(image)), len(image))
        if end > start:
            part, mark = damage(image[start:end], brain[start:end])
            damaged.append(part)
            marks.append(mark)
        start = end
    damaged.append(image[start:])
    marks.append(torch.zeros_like(brain[start:], dtype=image.dtype))
    whole = torch.where(brain, torch.cat(damaged).clamp(0.0, 1.2), image)
    return whole, torch.cat(marks) * brain


def with_lesions(
    image: Tensor, brain: Tensor, chance: Generator, largest: float
) -> tuple[Tensor, Tensor]:
    """One or two lumps of shifted, partly flattened tissue; some with a dark core."""
    second = uniform(image, chance) < 0.5
    mark = torch.zeros_like(image[:, :1])
    for number in range(2):
        lump = draw_lump(image, brain, chance)
        shift = 0.04 + largest * uniform(image, chance) ** 1.3
        dark = uniform(image, chance) < 0.15
        shift = torch.where(dark, -0.7 * shift, shift)
        flatness = 0.7 * uniform(image, chance)
        texture = 0.25 * shift * smooth_noise(image, chance, 24)
        tissue = neighbourhood(image)
        target = torch.lerp(image, tissue, flatness) + shift + texture
        hollow = uniform(image, chance) < 0.25
        target = torch.where(hollow, torch.lerp(target, 0.3 * tissue, lump.core), target)
        damaged = torch.lerp(image, target, lump.inside)
        wanted = second if number else torch.ones_like(second)
        image = torch.where(wanted, damaged, image)
        mark = torch.maximum(mark, middle(lump.inside) * wanted)
    return image, mark


def with_mass(image: Tensor, brain: Tensor, chance: Generator) -> tuple[Tensor, Tensor]:
    """A lump hardly brighter than brain, without its texture, that pushes its surroundings away."""
    lump = draw_lump(image, brain, chance, smallest=6.0)
    push = 0.5 * uniform(image, chance)
    pushed = displaced(image, lump, push)
    shift = 0.16 * uniform(image, chance) - 0.04
    texture = 0.03 * smooth_noise(image, chance, 32)
    flatness = 0.5 + 0.5 * uniform(image, chance)
    target = torch.lerp(pushed, neighbourhood(pushed), flatness) + shift + texture
    return torch.lerp(pushed, target, lump.inside), middle(lump.inside)


def with_foreign_patch(image: Tensor, brain: Tensor, chance: Generator) -> tuple[Tensor, Tensor]:
    """Tissue of another slice inside a lump (foreign patch interpolation, Tan et al. 2020)."""
    lump = draw_lump(image, brain, chance)
    other = image.flip(0).roll(1, 0).flip(-1)
    opacity = 0.4 + 0.6 * uniform(image, chance)
    return torch.lerp(image, other, lump.inside * opacity), middle(lump.inside)


def with_blob_noise(image: Tensor, brain: Tensor, chance: Generator) -> tuple[Tensor, Tensor]:
    """Noise of a random grain inside one lump."""
    lump = draw_lump(image, brain, chance)
    grain = torch.where(
        uniform(image, chance) < 0.5,
        smooth_noise(image, chance, 16),
        smooth_noise(image, chance, 48),
    )
    strength = 0.05 + 0.25 * uniform(image, chance)
    return image + lump.inside * grain * strength, middle(lump.inside)


def with_coarse_noise(image: Tensor, chance: Generator, deviation: float) -> tuple[Tensor, Tensor]:
    """Coarse Gaussian noise over the whole slice (Kascenas et al. 2022); nothing is foreign."""
    strength = deviation * (0.4 + 0.9 * uniform(image, chance))
    return image + strength * smooth_noise(image, chance, 16), torch.zeros_like(image[:, :1])


def draw_lump(image: Tensor, brain: Tensor, chance: Generator, smallest: float = 3.0) -> Lump:
    """A lump around a random brain voxel; it reaches over some slices and shrinks toward its ends.

    Radii are log-uniform from `smallest` to 24 pixels: small lesions are as frequent as large ones.
    """
    _, context, height, width = image.shape
    # Drawn on a grid of 4 x 4 pixels: sixteen times cheaper, and centres need no more.
    weight = functional.avg_pool2d(brain.float(), 4) + 1e-6
    cell = torch.multinomial(weight.flatten(1), 1, generator=chance).view(-1, 1, 1, 1)
    across_cells = weight.shape[-1]
    down, right, through = (
        torch.arange(length, device=image.device) for length in (height, width, context)
    )
    rows = down.view(1, 1, -1, 1) - (4 * (cell // across_cells) + 2)
    columns = right.view(1, 1, 1, -1) - (4 * (cell % across_cells) + 2)
    angle = torch.pi * uniform(image, chance)
    along = rows * angle.cos() + columns * angle.sin()
    across = columns * angle.cos() - rows * angle.sin()
    radius = smallest * (24.0 / smallest) ** uniform(image, chance)
    stretch = 0.6 + 0.8 * uniform(image, chance)
    distance = ((along / (radius * stretch)) ** 2 + (across * stretch / radius) ** 2).sqrt()
    distance = distance + 0.35 * smooth_noise(image, chance, 10) * (radius > 4.0)
    softness = 0.04 + 0.3 * uniform(image, chance)
    # Half its reach in slices of about 5 mm, and how far from the middle slice its centre lies.
    reach = 0.7 + radius / 5.0
    centre = 1.2 * (uniform(image, chance) - 0.5) * reach
    place = through.view(1, -1, 1, 1) - context // 2
    share = (1 - ((place - centre) / reach) ** 2).clamp(min=0.01).sqrt()
    return Lump(
        inside=torch.sigmoid((share - distance) / softness) * (share > 0.15),
        core=torch.sigmoid((0.6 * share - distance) / 0.1),
        rows=rows.expand_as(distance),
        columns=columns.expand_as(distance),
        radius=radius,
    )


def displaced(image: Tensor, lump: Lump, push: Tensor) -> Tensor:
    """The slices as if the lump had grown from a smaller seed: tissue is pushed outward.

    The displacement decays over one further radius.
    """
    _, _, height, width = image.shape
    away = (lump.rows.float() ** 2 + lump.columns.float() ** 2).sqrt() / lump.radius
    pull = 1 - push * torch.exp(-((away / 1.2) ** 2))
    scale = torch.tensor([2.0 / width, 2.0 / height], device=image.device)
    offset = torch.cat([lump.columns, lump.rows], dim=1).permute(0, 2, 3, 1) * scale
    unmoved = torch.eye(2, 3, device=image.device).expand(len(image), 2, 3)
    identity = functional.affine_grid(unmoved, [len(image), 1, height, width], False)
    change = offset * (pull[:, 0, :, :, None] - 1)
    return functional.grid_sample(
        image, identity + change, padding_mode="border", align_corners=False
    )


def neighbourhood(image: Tensor) -> Tensor:
    """The mean over 9 x 9 pixels."""
    return losses.box_mean(image, 9)


def smooth_noise(image: Tensor, chance: Generator, cells: int) -> Tensor:
    """Unit normal noise on a coarse grid, enlarged; alike in all slices of a sample."""
    coarse = torch.randn(len(image), 1, cells, cells, generator=chance, device=image.device)
    return functional.interpolate(coarse, size=image.shape[-2:], mode="bilinear")


def uniform(image: Tensor, chance: Generator) -> Tensor:
    """One number from 0 to 1 for each sample."""
    return torch.rand(len(image), 1, 1, 1, generator=chance, device=image.device)


def augment(image: Tensor, brain: Tensor, chance: Generator) -> tuple[Tensor, Tensor]:
    """Mirror, turn, scale, bend the grey scale and add a coil's shading."""
    angle = 0.09 * (2 * uniform(image, chance) - 1)
    scale = 1.0 + 0.08 * (2 * uniform(image, chance) - 1)
    mirror = torch.where(uniform(image, chance) < 0.5, -1.0, 1.0)
    shift = 0.05 * (2 * torch.rand(len(image), 2, generator=chance, device=image.device) - 1)
    matrix = torch.zeros(len(image), 2, 3, device=image.device)
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

"""Measures what an image looks like, so that `acceptance` can say whether the model knows such."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from agent.imaging import artefacts, contrast, grids, morphology, preprocess, sections
from agent.imaging.morphology import Mask
from agent.imaging.preprocess import TISSUE_VALUE, ModelInput
from agent.imaging.volume import Volume

Image = NDArray[np.float32]
Spacing = tuple[float, float, float]

FEWEST_SLICES = 5  # with brain: fewer are single images and no part of a head
MOST_RAGGED = 0.02  # of a single image: others lie at the skull base, where no cortex is a ribbon
WIDE_SHARE = 0.5  # of the largest section: narrower ones are skull base and vertex
MOST_SLICES = 8  # in which noise and ghosts are sought: they are in all or in none


class Trait(StrEnum):
    """What is measured of a volume; the functions that measure it say what it means."""

    RIBBON = "ribbon"
    LEAN = "lean"
    TEXTURE = "texture"
    NOISE = "noise"
    GHOSTS = "ghosts"
    RAGGED = "ragged"
    ASPECT = "aspect"
    BESIDE = "beside"
    BELOW = "below"
    ABOVE = "above"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One trait of one volume."""

    trait: Trait
    value: float


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Slices with brain, on the model grid (air 0, tissue `TISSUE_VALUE`, 0 outside the brain) and
    on the working grid with everything around it (air 0, tissue 1)."""

    image: Image
    brain: Mask
    spacing_mm: Spacing
    working: Image
    working_brain: Mask
    working_mm: Spacing


def look(volume: Volume, prepared: ModelInput) -> Sight:
    """What is measured of a prepared volume."""
    geometry = prepared.geometry
    voxels = preprocess.turned(volume.voxels, geometry.axes, geometry.flips)
    voxels = preprocess.reduced(voxels, geometry.factors)
    spacing = [volume.spacing_mm[axis] for axis in geometry.axes]
    first, row, column = (
        step * factor for step, factor in zip(spacing, geometry.factors, strict=True)
    )
    shape = (voxels.shape[1], voxels.shape[2])
    parts = prepared.brain.astype(np.float32)
    brain = np.stack([grids.enlarged(part, geometry.square, shape) > 0.5 for part in parts])
    return Sight(
        image=prepared.slices[:, prepared.slices.shape[1] // 2],
        brain=prepared.brain,
        spacing_mm=prepared.spacing_mm,
        working=preprocess.normalised(voxels, brain) / np.float32(TISSUE_VALUE),
        working_brain=brain,
        working_mm=(first, row, column),
    )


def only(sight: Sight, index: Sequence[int] | NDArray[np.int64]) -> Sight:
    """Some of the slices."""
    return Sight(
        image=sight.image[index],
        brain=sight.brain[index],
        spacing_mm=sight.spacing_mm,
        working=sight.working[index],
        working_brain=sight.working_brain[index],
        working_mm=sight.working_mm,
    )


def is_stack(sight: Sight) -> bool:
    """Whether there is enough of a brain to speak of its ends."""
    return int(sight.brain.any(axis=(1, 2)).sum()) >= FEWEST_SLICES


def measure(sight: Sight) -> tuple[Measured, ...]:
    """All that can be measured."""
    return tuple(
        Measured(trait=trait, value=value)
        for trait, value in values(sight)
        if not math.isnan(value)
    )


def values(sight: Sight) -> Iterator[tuple[Trait, float]]:
    """The traits one by one; not a number where the image does not show them."""
    areas = morphology.areas(sight.brain)
    wide = only(sight, np.flatnonzero(areas >= WIDE_SHARE * areas.max()))
    details = contrast.detail(wide.image, wide.brain, wide.spacing_mm)
    ragged, aspect = sections.outlines(sight.brain, sight.spacing_mm)
    yield Trait.RAGGED, ragged
    yield Trait.ASPECT, aspect
    if is_stack(sight) or ragged <= MOST_RAGGED:
        yield Trait.RIBBON, contrast.ribbon(wide.image, wide.brain, wide.spacing_mm)
    yield Trait.LEAN, contrast.lean(details)
    yield Trait.TEXTURE, contrast.texture(details)
    count = len(wide.brain)
    some = only(wide, np.unique(np.linspace(0, count - 1, min(count, MOST_SLICES)).astype(int)))
    yield Trait.NOISE, artefacts.noise(some.working, some.working_brain, some.working_mm)
    yield Trait.GHOSTS, artefacts.ghosts(some.working, some.working_mm)
    yield Trait.BESIDE, sections.beside(wide.working_brain, wide.working_mm)
    if is_stack(sight):
        below, above = sections.ends(sight.brain)
        yield Trait.BELOW, below
        yield Trait.ABOVE, above

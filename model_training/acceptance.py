"""Learns which images a model may be asked about: the limits in `[acceptance]`.

Every limit is the range that a trait spans over volumes known to be good, widened. Nothing here
needs the restoring network: only the brain masks.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from agent.imaging import head, morphology, traits
from agent.imaging.acceptance import Limit, Limits
from agent.imaging.preprocess import ModelInput
from agent.imaging.traits import Measured, Trait
from model_training.collection import Subject

INNER_PERCENT = 2.0  # of the good volumes at either end do not set a limit
STRETCH = 0.75  # of the distance from the median to the inner range: how far it is widened
ROOM = 0.25  # of the same: what lies at least between a limit and the furthest good volume
SINGLE_PERCENT = {Trait.RIBBON: 1.0}  # of good single slices that a limit may refuse
RARE_PERCENT = 0.2  # the same for the other traits
DIGITS = 3  # significant ones
# No limit is stricter, however clean the good volumes are: with 8 % noise added, marked regions
# overlapped those without by .97 and more, and a brain that touches the edge is not cut in half.
HARMLESS = {Trait.NOISE: 0.1, Trait.BESIDE: 0.5}
# And no volume's is laxer, however soft the good ones: blurred by 4 mm, eight of twelve lie below.
HARMFUL = {Trait.TEXTURE: 0.08}

# Where too little is as strange as too much; elsewhere only much is.
_BOTH = (Trait.RIBBON, Trait.LEAN, Trait.TEXTURE, Trait.ASPECT)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was measured of one good volume, and of each of its slices with enough brain.

    `stack` is empty where the volume has too few slices to be one.
    """

    subject: str
    site: str
    stack: tuple[Measured, ...]
    singles: tuple[tuple[Measured, ...], ...]


def sample(subject: Subject, prepared: ModelInput) -> Sample:
    """Measures one volume; its site is read from its name."""
    sight = traits.look(subject.volume, prepared)
    pixel_cm2 = sight.spacing_mm[1] * sight.spacing_mm[2] / 100
    areas_cm2 = morphology.areas(sight.brain) * pixel_cm2
    return Sample(
        subject=subject.name,
        site=site_of(subject.name),
        stack=traits.measure(sight) if traits.is_stack(sight) else (),
        singles=tuple(
            traits.measure(traits.only(sight, [index]))
            for index, area_cm2 in enumerate(areas_cm2)
            if area_cm2 >= head.MIN_BRAIN_CM2
        ),
    )


def site_of(subject: str) -> str:
    """The hospital of a TCGA patient (its tissue source), else the collection's prefix."""
    parts = subject.split("_")
    return parts[1] if parts[0] == "TCGA" and len(parts) > 1 else parts[0]


def fit(samples: Sequence[Sample]) -> Limits:
    """The limits of volumes and of single images; where no volume was seen, those of single images
    hold for volumes too."""
    if not samples:
        raise ValueError("The limits are learnt from good volumes, and there are none.")
    stacks = by_trait([one.stack for one in samples])
    singles = by_trait([single for one in samples for single in one.singles])
    single = tuple(percentiles(trait, values) for trait, values in singles.items())
    stack = tuple(widened(trait, values) for trait, values in stacks.items())
    return Limits(stack=stack or single, single=single)


def by_trait(measured: Sequence[Sequence[Measured]]) -> dict[Trait, list[float]]:
    """All values of each trait, in the order of `Trait`."""
    values: dict[Trait, list[float]] = {}
    for one in (each for row in measured for each in row):
        values.setdefault(one.trait, []).append(one.value)
    return {trait: values[trait] for trait in Trait if trait in values}


def widened(trait: Trait, values: Sequence[float]) -> Limit:
    """The inner range stretched, but always with room beyond the furthest good volume."""
    low, middle, high = np.percentile(values, (INNER_PERCENT, 50.0, 100.0 - INNER_PERCENT))
    below, above = middle - low, high - middle
    least = min(low - STRETCH * below, min(values) - ROOM * below)
    least = max(least, HARMFUL.get(trait, -math.inf))
    most = max(high + STRETCH * above, max(values) + ROOM * above)
    return limit(trait, float(least), float(most))


def percentiles(trait: Trait, values: Sequence[float]) -> Limit:
    """The range of nearly all single slices: some of them lie oddly, and are refused."""
    rare = SINGLE_PERCENT.get(trait, RARE_PERCENT)
    least, most = np.percentile(values, (rare, 100.0 - rare))
    return limit(trait, float(least), float(most))


def limit(trait: Trait, least: float, most: float) -> Limit:
    """A limit at the ends that matter."""
    return Limit(
        trait=trait,
        least=outward(least, math.floor) if trait in _BOTH else -math.inf,
        most=outward(max(most, HARMLESS.get(trait, -math.inf)), math.ceil),
    )


def outward(value: float, away: Callable[[float], int]) -> float:
    """As many digits as `model.toml` shows, rounded so that no good volume falls out."""
    if value == 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(value))) + 1 - DIGITS)
    return float(f"{away(value / step) * step:.{DIGITS}g}")

"""Learns which images a model may be asked about: the limits in `[acceptance]`.

Every limit is the range that a trait spans over volumes known to be good, widened. Nothing here
needs the restoring network: only the brain masks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.imaging import acceptance, head, morphology, traits
from agent.imaging.acceptance import Limit, Limits
from agent.imaging.preprocess import ModelInput
from agent.imaging.traits import Measured, Trait
from agent.imaging.volume import Volume

INNER_PERCENT = 2.0  # of the good volumes at either end do not set a limit
STRETCH = 0.75  # of the distance from the median to the inner range: how far it is widened
ROOM = 0.25  # of the same: what lies at least between a limit and the furthest good volume
SINGLE_PERCENT = {Trait.RIBBON: 1.0}  # of good single slices that a limit may refuse
RARE_PERCENT = 0.2  # the same for the other traits
DIGITS = 3  # significant ones

# Where too little is as strange as too much; elsewhere only much is.
_BOTH = (Trait.RIBBON, Trait.LEAN, Trait.TEXTURE, Trait.ASPECT)
_OF_STACKS_ALONE = (Trait.BELOW, Trait.ABOVE)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was measured of one good volume, and of each of its slices with enough brain."""

    subject: str
    site: str
    stack: tuple[Measured, ...]
    singles: tuple[tuple[Measured, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Refusals:
    """Good volumes and slices that would be refused by limits learnt at the other sites."""

    site: str
    volumes: int
    refused: tuple[str, ...]
    remarked: int
    slices: int
    slices_refused: int


def sample(subject: str, volume: Volume, prepared: ModelInput) -> Sample:
    """Measures one volume; its site is read from its name."""
    sight = traits.look(volume, prepared)
    pixel_cm2 = sight.spacing_mm[1] * sight.spacing_mm[2] / 100
    areas_cm2 = morphology.areas(sight.brain) * pixel_cm2
    return Sample(
        subject=subject,
        site=site_of(subject),
        stack=traits.measure(sight),
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
    """The limits of volumes and of single images."""
    if not samples:
        raise ValueError("The limits are learnt from good volumes, and there are none.")
    stacks = by_trait([one.stack for one in samples])
    singles = by_trait([single for one in samples for single in one.singles])
    return Limits(
        stack=tuple(widened(trait, values) for trait, values in stacks.items()),
        single=tuple(
            percentiles(trait, values)
            for trait, values in singles.items()
            if trait not in _OF_STACKS_ALONE
        ),
    )


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
        least=rounded(least) if trait in _BOTH else -math.inf,
        most=rounded(most),
    )


def rounded(value: float) -> float:
    """As many digits as `model.toml` shows."""
    return float(f"{value:.{DIGITS}g}")


def left_out(samples: Sequence[Sample]) -> tuple[Refusals, ...]:
    """Each site judged by limits that were learnt without it."""
    sites = dict.fromkeys(one.site for one in samples)
    return tuple(
        refusals(
            [one for one in samples if one.site == site],
            fit([one for one in samples if one.site != site]),
        )
        for site in sites
    )


def refusals(samples: Sequence[Sample], limits: Limits) -> Refusals:
    """What limits say of samples of one site."""
    judged = [acceptance.compare(one.stack, limits.stack, sequence="") for one in samples]
    singles = [
        acceptance.compare(single, limits.single, sequence="")
        for one in samples
        for single in one.singles
    ]
    pairs = zip(samples, judged, strict=True)
    return Refusals(
        site=samples[0].site,
        volumes=len(samples),
        refused=tuple(one.subject for one, verdict in pairs if verdict.refusal is not None),
        remarked=sum(bool(verdict.remarks) for verdict in judged),
        slices=len(singles),
        slices_refused=sum(verdict.refusal is not None for verdict in singles),
    )


def as_toml(limits: Limits) -> str:
    """The tables `[acceptance.stack]` and `[acceptance.single]` of a `model.toml`."""
    return "\n".join(
        [
            "[acceptance.stack]  # usual range of each trait of a volume: agent/imaging/traits.py",
            *map(line, limits.stack),
            "",
            "[acceptance.single]  # and of a single image",
            *map(line, limits.single),
            "",
        ]
    )


def line(one: Limit) -> str:
    """One trait's range."""
    ends = [
        f"{name} = {value!r}"
        for name, value in (("least", one.least), ("most", one.most))
        if math.isfinite(value)
    ]
    return f"{one.trait} = {{ {', '.join(ends)} }}"

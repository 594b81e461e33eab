"""Refuses what the model was not made for: another weighting or plane, artefacts, a cut-off brain.

It goes by the voxels alone, as headers may be wrong or missing. The limits belong to a model: they
are the ranges that volumes of its training and calibration subjects span, with a margin
(`model_training.acceptance`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agent.imaging.results import NotAnalysed, Reason
from agent.imaging.traits import Measured, Sight, Trait, is_stack, measure


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The range in which a trait is usual."""

    trait: Trait
    least: float = -math.inf
    most: float = math.inf


@dataclass(frozen=True, kw_only=True)
class Limits:
    """For volumes, and for single images, whose slice may lie anywhere in the head."""

    stack: tuple[Limit, ...]
    single: tuple[Limit, ...]


NO_LIMITS = Limits(stack=(), single=())
"""For a model folder without the table: what `head.find` takes for a head is analysed."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Why the images are not analysed, if so; and what the reader of a result must know."""

    refusal: NotAnalysed | None
    remarks: tuple[str, ...]


# Below the usual range, and above it. {0} is the model's sequence.
_WORDS = {
    Trait.RIBBON: (
        "the cortex is darker against the white matter than {0} shows it",
        "the cortex is brighter against the white matter than {0} shows it",
    ),
    Trait.LEAN: (
        "the fluid in the folds of the brain is darker than {0} shows it",
        "the fluid in the folds of the brain is brighter than {0} shows it",
    ),
    Trait.TEXTURE: (
        "the brain shows too little detail, as in blurred images",
        "the contrast inside the brain is stronger than {0} shows it",
    ),
    Trait.NOISE: ("there is no noise", "the noise is too strong"),
    Trait.GHOSTS: ("there is no air", "ghosts or noise shine outside the head"),
    Trait.RAGGED: (
        "the sections of the brain are ellipses",
        "the sections of the brain have another outline than axial ones",
    ),
    Trait.ASPECT: (
        "the sections of the brain are too short from front to back for axial ones",
        "the sections of the brain are too narrow for axial ones",
    ),
    Trait.BESIDE: ("there is room beside the brain", "the field of view cuts the brain off"),
}
_REMARKS = {
    Trait.BELOW: "The images begin inside the brain: what lies below them was not analysed.",
    Trait.ABOVE: "The images end inside the brain: what lies above them was not analysed.",
}


def judge(sight: Sight, limits: Limits, *, sequence: str) -> Judgement:
    """What the voxels say."""
    return compare(
        measure(sight), limits.stack if is_stack(sight) else limits.single, sequence=sequence
    )


def compare(measured: Sequence[Measured], limits: Sequence[Limit], *, sequence: str) -> Judgement:
    """Measured traits against their limits; a trait without a limit is not judged."""
    by_trait = {limit.trait: limit for limit in limits}
    outside = [
        (one, by_trait[one.trait])
        for one in measured
        if one.trait in by_trait
        and not by_trait[one.trait].least <= one.value <= by_trait[one.trait].most
    ]
    faults = [fault(one, limit, sequence) for one, limit in outside if one.trait in _WORDS]
    remarks = tuple(_REMARKS[one.trait] for one, _ in outside if one.trait in _REMARKS)
    return Judgement(refusal=refused(faults, sequence) if faults else None, remarks=remarks)


def fault(one: Measured, limit: Limit, sequence: str) -> str:
    """What is unusual, in words and numbers."""
    low = one.value < limit.least
    words = _WORDS[one.trait][0 if low else 1].format(sequence)
    bound = f"at least {limit.least:.3g}" if low else f"at most {limit.most:.3g}"
    return f"{words} ({one.trait} {one.value:.3g}, usual is {bound})"


def refused(faults: Sequence[str], sequence: str) -> NotAnalysed:
    """The refusal with everything that speaks for it."""
    sentence = f"The images are not like the axial {sequence} images of heads that the model knows"
    return NotAnalysed(
        reason=Reason.UNFAMILIAR_IMAGES, sentence=f"{sentence}: {'; '.join(faults)}."
    )

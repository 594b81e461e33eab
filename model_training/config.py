"""A recipe: everything that decides a training run, read from one TOML file."""

import json
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from model_training.corruption import CorruptionSettings


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One model that can be trained. Steps are optimiser steps of one batch each.

    The first collection has tumours, the others none; `only_subjects` are beginnings of names;
    `most_patients` above 0 takes only so many of the first collection's training patients. The
    fields from `inner_size` on are of `compression`'s methods: the size they reduce a slice to, the
    numbers they press it into, and for f-AnoGAN the share of steps before the encoder learns.

    With `single_images` the first collection holds 2D images in two classes: the normal ones are
    learnt from, framed by their heads. No brain is looked for, and sequence and plane are not read.

    `mirrored` shows the generator the mirror image of the slice beside it: half a brain tells what
    the other should look like.

    `adversary_share` is how hard the discriminator pulls at a restoration (the weighted sum of
    `adversarial` and `matching`) against all other losses together; 0 turns it off.
    """

    name: str
    version: str
    sequence: str
    plane: str
    collections: tuple[str, ...]
    single_images: bool = False
    only_subjects: tuple[str, ...] = ()
    cross_site: tuple[str, ...] = ()
    method: str = "restoring"
    most_patients: int = 0
    size: int = 128
    context: int = 3
    mirrored: bool = False
    generator_width: int = 40
    discriminator_width: int = 32
    spectral_norm: bool = True
    batch: int = 16
    max_steps: int = 2200
    max_minutes: float = 60.0
    patience_steps: int = 1000
    generator_rate: float = 1e-3
    discriminator_rate: float = 4e-4
    warmup_steps: int = 50
    adversarial_from_step: int = 400
    adversary_share: float = 0.3
    adversarial_weight: float = 0.1
    matching_weight: float = 1.0
    reconstruction_weight: float = 10.0
    damage_weight: float = 3.0
    dissimilarity_weight: float = 1.0
    marking_weight: float = 0.5
    instance_noise: float = 0.02
    average_decay: float = 0.995
    inner_size: int = 64
    latent: int = 128
    critic_steps: int = 5
    painting_share: float = 0.6
    penalty_weight: float = 10.0
    latent_weight: float = 1.0
    encoder_rate: float = 1e-3
    checkpoint_every: int = 100
    threads: int = 2
    seed: int = 1
    mixed_precision: bool = True
    corruption: CorruptionSettings = field(default_factory=CorruptionSettings)


def load(path: Path) -> Recipe:
    """The recipe in a TOML file; unknown keys are refused so that a typo cannot pass unseen."""
    return parsed(tomllib.loads(path.read_text(encoding="utf-8")), str(path))


def parsed(values: dict[str, Any], where: str) -> Recipe:
    """The recipe of a TOML document's values; `where` names it in an error."""
    fields = dict(values)
    for key in ("collections", "only_subjects", "cross_site"):
        if key in fields:
            fields[key] = tuple(fields[key])
    try:
        corruption = CorruptionSettings(**fields.pop("corruption", {}))
        return Recipe(**fields, corruption=corruption)
    except TypeError as error:
        raise ValueError(f"{where} is not a recipe: {error}.") from error


def text(recipe: Recipe) -> str:
    """The recipe in TOML; JSON writes such values alike."""
    values = asdict(recipe)
    corruption = values.pop("corruption")
    tables = [values, corruption]
    first, second = (
        "".join(f"{key} = {json.dumps(value)}\n" for key, value in one.items()) for one in tables
    )
    return f"{first}\n[corruption]\n{second}"

"""A recipe: everything that decides a training run, read from one TOML file."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from model_training.corruption import CorruptionSettings


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One model that can be trained. Steps are optimiser steps of one batch each.

    The first collection has tumours, the others none; `only_subjects` are beginnings of names;
    `most_patients` above 0 takes only so many of the first collection's training patients.
    """

    name: str
    version: str
    sequence: str
    plane: str
    collections: tuple[str, ...]
    only_subjects: tuple[str, ...] = ()
    cross_site: tuple[str, ...] = ()
    method: str = "restoring"
    most_patients: int = 0
    size: int = 128
    context: int = 3
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
    adversarial_weight: float = 0.1
    matching_weight: float = 1.0
    reconstruction_weight: float = 10.0
    damage_weight: float = 3.0
    dissimilarity_weight: float = 1.0
    marking_weight: float = 0.5
    instance_noise: float = 0.02
    average_decay: float = 0.995
    checkpoint_every: int = 100
    threads: int = 2
    seed: int = 1
    mixed_precision: bool = True
    corruption: CorruptionSettings = field(default_factory=CorruptionSettings)


def load(path: Path) -> Recipe:
    """The recipe in a TOML file; unknown keys are refused so that a typo cannot pass unseen."""
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    corruption = CorruptionSettings(**values.pop("corruption", {}))
    for key in ("collections", "only_subjects", "cross_site"):
        if key in values:
            values[key] = tuple(values[key])
    try:
        return Recipe(**values, corruption=corruption)
    except TypeError as error:
        raise ValueError(f"{path} is not a recipe: {error}.") from error

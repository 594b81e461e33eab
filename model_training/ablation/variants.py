"""The variants of a recipe, read from one TOML file.

base = "default.toml"                # from this file's folder
[every]                              # holds for all variants
max_steps = 300
[variant.baseline]                   # the first variant is what the others are compared with
group = "baseline"
[variant.no_lesions]
group = "corruption"
corruption.lesion_share = 0.0        # any field of a recipe
[variant.wide_mask]
group = "mask"
mask = "wide"
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from model_training import config
from model_training.config import Recipe

CORRUPTION = "corruption"


class Mask(StrEnum):
    """Where a variant looks."""

    BRAIN = "brain"  # as the brain network finds it
    WIDE = "wide"  # and a rim of 5 mm: meninges, dark skull, some scalp and orbit


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One recipe to be trained. `change` says in which fields it differs from the first."""

    name: str
    group: str
    change: str
    mask: Mask
    recipe: Recipe
    text: str
    """The recipe as TOML."""


def load(path: Path, *, steps: int | None = None) -> tuple[Variant, ...]:
    """All variants of a file; `steps` replaces the file's own number.

    Raises ValueError for a file without variants, an unknown field or an unknown mask.
    """
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    listed: dict[str, dict[str, Any]] = values.get("variant", {})
    if "base" not in values or not listed:
        raise ValueError(f"{path} needs the name of a base recipe and at least one variant.")
    base = tomllib.loads((path.parent / values["base"]).read_text(encoding="utf-8"))
    every = merged(base, values.get("every", {}))
    if steps is not None:
        every["max_steps"] = steps
    return tuple(_variant(name, every, dict(own), path) for name, own in listed.items())


def _variant(name: str, every: Mapping[str, Any], own: dict[str, Any], path: Path) -> Variant:
    where = f"{path}, variant {name}"
    if "group" not in own:
        raise ValueError(f"{where} names no group.")
    group, mask = own.pop("group"), own.pop("mask", Mask.BRAIN.value)
    if mask not in list(Mask):
        raise ValueError(f'{where}: the mask "{mask}" is none of {", ".join(Mask)}.')
    values = merged(every, own)
    values["name"] = f"{values['name']}-{name.replace('_', '-')}"
    changes = [f"{key} = {json.dumps(value)}" for key, value in flat(own).items()]
    if mask != Mask.BRAIN:
        changes.append(f"mask = {json.dumps(mask)}")
    return Variant(
        name=name,
        group=group,
        change=", ".join(changes),
        mask=Mask(mask),
        recipe=config.parsed(values, where),
        text=as_toml(values),
    )


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The first's values with the second's in their place; the table of damage field by field."""
    whole = {**first, **second}
    if CORRUPTION in second:
        whole[CORRUPTION] = {**first.get(CORRUPTION, {}), **second[CORRUPTION]}
    return whole


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the table of damage as `corruption.field`."""
    found = {key: value for key, value in values.items() if key != CORRUPTION}
    damage = values.get(CORRUPTION, {})
    return found | {f"{CORRUPTION}.{key}": value for key, value in damage.items()}


def as_toml(values: Mapping[str, Any]) -> str:
    """A recipe as text: TOML writes strings, numbers and lists as JSON does."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in flat(values).items()]
    return "\n".join(lines) + "\n"

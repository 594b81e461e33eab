"""Writes the candidate's model folder, whole or not at all."""

import shutil
from dataclasses import fields
from pathlib import Path

from agent import model_toml
from agent.imaging.pattern import ALL_MASS_LIKE, PatternRule
from agent.model_toml import ModelDescription
from model_training import runs
from model_training.retraining.order import Order


def export(order: Order, base: ModelDescription) -> None:
    """The graph, its description and its weights, with the base's rule for regions."""
    part = fresh(order.exported)
    runs.export_model(order.running, part)
    description = part / model_toml.FILE_NAME
    text = description.read_text(encoding="utf-8").rstrip("\n")
    text += f'\nretraining = "{order.run}"\ncompared_with = "{base.name}@{base.version}"\n'
    description.write_text(text + pattern(base.pattern), encoding="utf-8")
    model_toml.describe(part)
    part.replace(order.exported)


def fresh(target: Path) -> Path:
    """An empty folder beside a target, to be moved there when it is whole."""
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part


def pattern(rule: PatternRule) -> str:
    """The table `[pattern]`; no text for a model that calls every region mass-like."""
    if rule == ALL_MASS_LIKE:
        return ""
    lines = [f"{field.name} = {getattr(rule, field.name)!r}" for field in fields(rule)]
    head = "\n[pattern]  # carried over: tumour-free scans cannot teach it"
    return "\n".join([head, *lines, ""])

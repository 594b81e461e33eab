"""Verdicts of a pattern rule over subjects: mass-like or not, by group."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.imaging import pattern
from agent.imaging.pattern import PatternRule
from model_training.evaluation import metrics
from model_training.pattern.samples import Described, Marked


@dataclass(frozen=True, kw_only=True)
class GroupFigures:
    """How many subjects of a group have any region, a tumour's region, and a mass-like verdict.

    `recognised` counts those in whom a tumour's region is itself mass-like.
    """

    group: str
    subjects: int
    marked: int
    tumour_marked: int
    mass_like: int
    recognised: int


def is_mass_like(regions: Sequence[Marked], rule: PatternRule) -> bool:
    """The study's verdict; what cannot be described counts as mass-like, as in serving."""
    return any(
        region.shape is None or pattern.mass_score(region.shape, rule) >= rule.threshold
        for region in regions
    )


def auroc(described: Sequence[Described], rules: Sequence[PatternRule]) -> float:
    """How well the scores order single regions."""
    pairs = [
        (pattern.mass_score(region.shape, rule), region.tumour)
        for one, rule in zip(described, rules, strict=True)
        for region in one.regions
        if region.shape is not None
    ]
    scores, labels = zip(*pairs, strict=True)
    return metrics.auroc(np.array(scores), np.array(labels))


def count(described: Sequence[Described], rules: Sequence[PatternRule]) -> tuple[GroupFigures, ...]:
    """Verdicts by group, each subject judged by its own rule."""
    pairs = list(zip(described, rules, strict=True))
    groups = dict.fromkeys(one.group for one in described)
    return tuple(
        of_group(name, [pair for pair in pairs if pair[0].group == name]) for name in groups
    )


def of_group(name: str, pairs: Sequence[tuple[Described, PatternRule]]) -> GroupFigures:
    """One group's row."""
    return GroupFigures(
        group=name,
        subjects=len(pairs),
        marked=sum(bool(one.regions) for one, _ in pairs),
        tumour_marked=sum(bool(one.tumour_regions) for one, _ in pairs),
        mass_like=sum(is_mass_like(one.regions, rule) for one, rule in pairs),
        recognised=sum(is_mass_like(one.tumour_regions, rule) for one, rule in pairs),
    )

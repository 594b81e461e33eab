"""Tells a mass-like region from white-matter disease, and what the regions of a study are together.

White-matter disease of the old and multiple sclerosis are thin, lie at the ventricles, and come in
pairs; a mass is thick, one-sided and brighter than the same place of the other half.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from agent.imaging.results import Region, Shape, Spread

THINNEST_MM = 1.0  # the logarithm of less means nothing on a grid of 1.4 mm


@dataclass(frozen=True, kw_only=True)
class PatternRule:
    """A logistic regression over four measures of a region; from `threshold` on it is mass-like.

    The weights are for one unit of each measure: the natural logarithm of the thickness in mm,
    and three shares.
    """

    log_thickness: float
    asymmetry: float
    contrast: float
    near_ventricle: float
    bias: float
    threshold: float


ALL_MASS_LIKE = PatternRule(
    log_thickness=0.0, asymmetry=0.0, contrast=0.0, near_ventricle=0.0, bias=0.0, threshold=0.0
)
"""For a model that was not taught the difference: every score is 0.5, every region mass-like."""


def measures(shape: Shape) -> tuple[float, float, float, float]:
    """What the rule weighs. Where no ventricle is seen, nothing speaks for one near by."""
    return (
        math.log(max(shape.thickness_mm, THINNEST_MM)),
        shape.asymmetry,
        shape.contrast,
        shape.near_ventricle or 0.0,
    )


def mass_score(shape: Shape, rule: PatternRule) -> float:
    """From 0, like white-matter disease, to 1, like a mass."""
    weights = (rule.log_thickness, rule.asymmetry, rule.contrast, rule.near_ventricle)
    total = rule.bias + float(np.dot(weights, measures(shape)))
    return 0.5 * (1.0 + math.tanh(total / 2))  # the logistic function, without overflow


def terms(shape: Shape, rule: PatternRule) -> dict[str, float]:
    """What each measure adds to the sum that `mass_score` bends to 0 ... 1."""
    names = ("log_thickness", "asymmetry", "contrast", "near_ventricle")
    weighed = zip(names, measures(shape), strict=True)
    return {name: getattr(rule, name) * value for name, value in weighed} | {"bias": rule.bias}


def judged(
    regions: Sequence[Region], shapes: Sequence[Shape | None], rule: PatternRule
) -> tuple[Region, ...]:
    """The regions with their description and what they look like."""
    return tuple(judge(*pair, rule) for pair in zip(regions, shapes, strict=True))


def judge(region: Region, shape: Shape | None, rule: PatternRule) -> Region:
    """One region; without a shape it stays what an undescribed region is."""
    if shape is None:
        return region
    score = mass_score(shape, rule)
    return replace(region, shape=shape, mass_score=score, mass_like=score >= rule.threshold)


def spread(regions: Sequence[Region]) -> Spread | None:
    """The regions of a study together, None without any."""
    if not regions:
        return None
    shapes = [(one.volume_ml, one.shape) for one in regions if one.shape is not None]
    asymmetry = weighted([(ml, shape.asymmetry) for ml, shape in shapes])
    volume_ml = sum(region.volume_ml for region in regions)
    return Spread(
        regions=len(regions),
        volume_ml=volume_ml,
        largest_share=max(region.volume_ml for region in regions) / volume_ml,
        symmetry=None if asymmetry is None else 1.0 - asymmetry,
        near_ventricle=weighted([(ml, shape.near_ventricle) for ml, shape in shapes]),
    )


def weighted(pairs: Sequence[tuple[float, float | None]]) -> float | None:
    """The mean of the known values by volume."""
    known = [(volume_ml, value) for volume_ml, value in pairs if value is not None]
    if not known:
        return None
    return sum(ml * value for ml, value in known) / sum(ml for ml, _ in known)

"""Learns to tell a mass-like region from white-matter disease: the rule in `[pattern]`.

What the detector marks in tumour patients and in tumour-free subjects is described as in serving;
a logistic regression over four measures learns which regions are tumour. Its threshold is chosen
on scores that were learnt without the subject they judge.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from agent.imaging import pattern
from agent.imaging.pattern import PatternRule
from model_training.pattern import figures as pattern_figures
from model_training.pattern import samples as pattern_samples
from model_training.pattern.figures import GroupFigures, is_mass_like
from model_training.pattern.samples import Described, Sample

CANDIDATES = tuple(round(0.05 * step, 2) for step in range(1, 20))
INVERSE_PENALTY = 1.0  # on standardised measures: some 150 regions are few
DIGITS = 4
MAX_COST = 0.01  # what balanced accuracy may lose: less than so few subjects can tell apart


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """The rule, and what it reaches on subjects that were left out when it was learnt.

    The threshold was chosen on these very scores: look at held-out subjects too (`figures`).
    `auroc` is that of single regions.
    """

    rule: PatternRule
    auroc: float
    groups: tuple[GroupFigures, ...]


def learn(samples: Iterable[Sample]) -> Learnt:
    """The rule learnt from training subjects, with leave-one-subject-out figures.

    Raises ValueError where the regions are all of one kind.
    """
    return learn_described([pattern_samples.describe(sample) for sample in samples])


def learn_described(described: Sequence[Described]) -> Learnt:
    """The same, of subjects that are described already."""
    judged = [one for one in described if one.served]
    left_out = [
        rule_of([other for other in described if other.subject != one.subject]) for one in judged
    ]
    threshold = best_threshold(judged, left_out)
    left_out = [replace(rule, threshold=threshold) for rule in left_out]
    return Learnt(
        rule=replace(rule_of(described), threshold=threshold),
        auroc=pattern_figures.auroc(judged, left_out),
        groups=pattern_figures.count(judged, left_out),
    )


def figures(samples: Iterable[Sample], rule: PatternRule) -> tuple[GroupFigures, ...]:
    """What a rule says of subjects it was not learnt from."""
    described = [pattern_samples.describe(sample) for sample in samples]
    return pattern_figures.count(described, [rule] * len(described))


def as_toml(rule: PatternRule) -> str:
    """The table `[pattern]` of a `model.toml`."""
    title = "[pattern]  # mass score of a region = logistic(bias + sum of weight x measure)"
    lines = (f"{name} = {value!r}" for name, value in asdict(rule).items())
    return "\n".join([title, *lines, ""])


def rule_of(described: Sequence[Described]) -> PatternRule:
    """A logistic regression; its threshold is still to be chosen."""
    rows = [
        (pattern.measures(region.shape), region.tumour, one.subject)
        for one in described
        for region in one.regions
        if region.shape is not None
    ]
    labels = np.array([tumour for _, tumour, _ in rows], dtype=np.bool_)
    if not rows or labels.all() or not labels.any():
        raise ValueError(
            "The rule needs marked regions that are tumour and some that are not: give it tumour "
            "patients and tumour-free subjects, and a detector that marks something in both."
        )
    values = np.array([measured for measured, _, _ in rows])
    middle, scale = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-6)
    weights = balanced(labels, np.array([subject for _, _, subject in rows]))
    regression = LogisticRegression(C=INVERSE_PENALTY)
    regression.fit((values - middle) / scale, labels, sample_weight=weights)
    slopes = regression.coef_[0] / scale
    bias = float(regression.intercept_[0] - slopes @ middle)
    thickness, asymmetry, contrast, near = (round(float(slope), DIGITS) for slope in slopes)
    return PatternRule(
        log_thickness=thickness,
        asymmetry=asymmetry,
        contrast=contrast,
        near_ventricle=near,
        bias=round(bias, DIGITS),
        threshold=0.5,
    )


def balanced(labels: NDArray[np.bool_], subjects: NDArray[np.str_]) -> NDArray[np.float64]:
    """Weights, 1 on average: the same sum for both kinds of region, and for each subject in it."""
    weights = np.zeros(len(labels))
    for kind in (False, True):
        of_kind = labels == kind
        owners = np.unique(subjects[of_kind])
        for owner in owners:
            own = of_kind & (subjects == owner)
            weights[own] = 1.0 / (len(owners) * own.sum())
    return np.asarray(weights / weights.mean())


def best_threshold(described: Sequence[Described], rules: Sequence[PatternRule]) -> float:
    """Where most verdicts are right, marked tumours and tumour-free subjects weighing the same.

    The middle of all that are nearly as good: far from both kinds.
    """
    right = []
    for candidate in CANDIDATES:
        pairs = [
            (one, replace(rule, threshold=candidate))
            for one, rule in zip(described, rules, strict=True)
        ]
        ill = [is_mass_like(one.tumour_regions, rule) for one, rule in pairs if one.tumour_regions]
        well = [
            not is_mass_like(one.regions, rule) for one, rule in pairs if not one.tumour_patient
        ]
        right.append((sum(ill) / len(ill) + sum(well) / max(len(well), 1)) / 2)
    pairs_found = zip(CANDIDATES, right, strict=True)
    good = [candidate for candidate, value in pairs_found if value >= max(right) - MAX_COST]
    return good[(len(good) - 1) // 2]

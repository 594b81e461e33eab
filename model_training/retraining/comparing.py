"""The candidate and the base model side by side: every figure of both and the difference."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from model_training.evaluation import resampling
from model_training.evaluation.metrics import Floats
from model_training.evaluation.resampling import Interval
from model_training.evaluation.sense import AUROC, PRECISION
from model_training.evaluation.studies import Study
from model_training.evaluation.synthetic import Family
from model_training.evaluation.tables import number, table, text
from model_training.retraining.measuring import Measured

FIGURES = {
    AUROC: "AUROC of slices",
    PRECISION: "average precision of pixels",
    "best_dice": "best Dice (upper bound)",
    "sensitivity_at_5_percent": "share of slices found where 5 % of calibration slices pass",
    "false_positives_at_5_percent": "share of untouched slices that pass there",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One figure of both models; `difference` is the candidate less the base, paired by scan."""

    what: str
    candidate: Interval
    base: Interval
    difference: Interval
    digits: int = 3


def lines(candidate: Measured, base: Measured) -> list[Line]:
    """False positives first, then restorations, then synthetic lesions."""
    return [
        *false_positives(candidate, base),
        *restorations(candidate, base),
        *synthetic(candidate, base),
    ]


def false_positives(candidate: Measured, base: Measured) -> list[Line]:
    """What each marks in scans without a tumour, at its own thresholds."""
    count = len(candidate.studies)

    def line(what: str, above: Callable[[Study], float], below: Callable[[Study], float]) -> Line:
        figures = [resampling.ratio(of(one, above), of(one, below)) for one in (candidate, base)]
        return paired(what, figures[0], figures[1], count)

    def share(what: str, hit: Callable[[Study], bool]) -> Line:
        """With exact binomial intervals: drawing anew says nothing where all scans agree."""
        drawn = line(what, lambda one: float(hit(one)), lambda _: 1.0)
        ours, theirs = (sum(hit(one) for one in each.studies) for each in (candidate, base))
        return replace(
            drawn,
            candidate=resampling.share(ours, count),
            base=resampling.share(theirs, count),
        )

    return [
        share("scans with any mark", lambda one: one.abnormal),
        share("scans called mass-like", lambda one: bool(one.mass_like)),
        line("slices with a mark", lambda one: one.slices_marked, lambda one: one.slices),
        line("marked regions per scan", lambda one: one.regions, lambda _: 1.0),
        line("marked volume per scan, ml", lambda one: one.marked_ml, lambda _: 1.0),
    ]


def of(one: Measured, value: Callable[[Study], float]) -> Floats:
    """One value a scan."""
    return np.array([value(study) for study in one.studies], dtype=np.float64)


def restorations(candidate: Measured, base: Measured) -> list[Line]:
    """Mean absolute errors; brain tissue is 0.4."""
    return [
        paired(
            f"error of restoration, {name}",
            resampling.mean(errors),
            resampling.mean(base.errors[name]),
            len(errors),
            digits=4,
        )
        for name, errors in candidate.errors.items()
    ]


def paired(
    what: str, ours: resampling.Figure, theirs: resampling.Figure, count: int, *, digits: int = 3
) -> Line:
    """Two figures of the same scans and their difference, over the same draws."""
    once, draws = resampling.everyone(count), resampling.draw(count)
    return Line(
        what=what,
        candidate=resampling.interval(ours, count),
        base=resampling.interval(theirs, count),
        difference=resampling.around(
            float((ours(once) - theirs(once))[0]), ours(draws) - theirs(draws)
        ),
        digits=digits,
    )


def synthetic(candidate: Measured, base: Measured) -> list[Line]:
    """How well drawn lesions are told from the untouched slice."""
    found = []
    for family in Family:
        ours, theirs = candidate.figures[family], base.figures[family]
        for key, what in FIGURES.items():
            found.append(
                Line(
                    what=f"{family} lesions: {what}",
                    candidate=ours[key].interval,
                    base=theirs[key].interval,
                    difference=resampling.around(
                        ours[key].value - theirs[key].value, ours[key].draws - theirs[key].draws
                    ),
                )
            )
    return found


def as_table(found: list[Line]) -> str:
    """All lines in Markdown."""
    head = ["on the held-back patients", "candidate", "base model", "candidate less base"]
    rows = [
        [
            one.what,
            text(one.candidate, one.digits),
            text(one.base, one.digits),
            text(one.difference, one.digits),
        ]
        for one in found
    ]
    return table(head, rows)


def distributions(candidate: Measured, base: Measured) -> str:
    """Where scores lie, against each model's own threshold."""
    head = ["", "candidate", "base model"]
    rows = [
        ["slice threshold", number(candidate.threshold), number(base.threshold)],
        [
            "score that 5 % of the calibration slices pass",
            number(candidate.threshold_at_5_percent),
            number(base.threshold_at_5_percent),
        ],
        *(
            [
                f"slice score, {name}",
                number(float(np.quantile(candidate.slice_scores, share))),
                number(float(np.quantile(base.slice_scores, share))),
            ]
            for name, share in (("median", 0.5), ("95 %", 0.95), ("highest", 1.0))
        ),
        [
            "scan score, lowest to highest",
            *(
                " to ".join(number(float(end(one.study_scores))) for end in (np.min, np.max))
                for one in (candidate, base)
            ),
        ],
        [
            "slices with a p-value of at most .05",
            *(number(float(np.mean(one.slice_p_values <= 0.05))) for one in (candidate, base)),
        ],
    ]
    return table(head, rows)

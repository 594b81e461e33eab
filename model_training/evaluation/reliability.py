"""Whether p-values mean what they say: of tumour-free slices or studies, a share alpha may have a
p-value of alpha or less."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.imaging import scoring
from model_training.evaluation import resampling
from model_training.evaluation.metrics import Floats, Labels
from model_training.evaluation.resampling import Interval, Weights

ALPHAS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
P_EDGES = (0.01, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Observed share of p-values at or below each of `ALPHAS`, subjects drawn anew."""

    name: str
    subjects: int
    values: int
    alphas: tuple[float, ...]
    observed: tuple[Interval, ...]


def leave_one_out(scores: Sequence[Floats]) -> list[Floats]:
    """P-values of each subject's scores against those of all others.

    For the very subjects that calibrate. One score a subject gives evenly spread ranks over all of
    them whatever the scores are: only the groups among them say something then.
    """
    return [
        scoring.p_values(
            own, [x for other, part in enumerate(scores) if other != place for x in part.tolist()]
        )
        for place, own in enumerate(scores)
    ]


def coverage(name: str, p_values: Sequence[Floats]) -> Coverage:
    """How often p-values of tumour-free slices or studies fall to alpha or below."""
    alphas = np.array(ALPHAS)
    below = np.stack([(own[:, None] <= alphas).sum(axis=0) for own in p_values])
    counts = np.array([len(own) for own in p_values], dtype=np.float64)

    def shares(weights: Weights) -> Floats:
        total = np.repeat((weights @ counts)[:, None], len(alphas), axis=1)
        return resampling.divided(weights @ below, total)

    whole = shares(resampling.everyone(len(p_values)))[0]
    drawn = shares(resampling.draw(len(p_values)))
    return Coverage(
        name=name,
        subjects=len(p_values),
        values=int(counts.sum()),
        alphas=ALPHAS,
        observed=tuple(
            resampling.around(float(value), column)
            for value, column in zip(whole, drawn.T, strict=True)
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """How many slices have a p-value in a range (above the last, up to this one), and the share
    of them with tumour."""

    up_to: float
    slices: int
    with_tumour: float


def meanings(p_values: Floats, labels: Labels) -> list[Meaning]:
    """What a slice's p-value meant in this group."""
    place = np.searchsorted(P_EDGES, p_values, side="left")
    found = []
    for number, edge in enumerate((*P_EDGES, 1.0)):
        chosen = labels[place == number]
        share = float(chosen.mean()) if len(chosen) else float("nan")
        found.append(Meaning(up_to=edge, slices=len(chosen), with_tumour=share))
    return found

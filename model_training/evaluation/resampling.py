"""Draws patients anew, so that every figure comes with an interval.

A draw is a row of weights: how often each patient was drawn. A figure is a function of many draws
at once; what costs time (ranks, histograms, overlaps) is done once a patient before.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from model_training.evaluation.metrics import Floats

DRAWS = 2000
SEED = 1
LEVEL = 0.95

Weights = NDArray[np.float64]  # [draws, patients]
Figure = Callable[[Weights], Floats]  # -> [draws]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A figure with its 95 per cent interval; not a number where the group does not give it."""

    value: float
    low: float
    high: float


def draw(patients: int, *, draws: int = DRAWS, seed: int = SEED) -> Weights:
    """Weights of `draws` samples of as many patients, with replacement."""
    chance = np.random.default_rng(seed)
    return chance.multinomial(patients, np.full(patients, 1 / patients), draws).astype(np.float64)


def everyone(patients: int) -> Weights:
    """The one draw in which each patient stands once."""
    return np.ones((1, patients))


def interval(figure: Figure, patients: int) -> Interval:
    """The figure of all patients, and between which values the draws lie."""
    return around(float(figure(everyone(patients))[0]), figure(draw(patients)))


def around(value: float, drawn: Floats) -> Interval:
    """A value with the percentiles of its draws; draws without the figure are left out."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Interval(value=value, low=float("nan"), high=float("nan"))
    low, high = np.percentile(known, (100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2))
    return Interval(value=value, low=float(low), high=float(high))


def ratio(numerators: Floats, denominators: Floats) -> Figure:
    """Sum of one value a patient over the sum of another."""
    return lambda weights: divided(weights @ numerators, weights @ denominators)


def mean(values: Floats) -> Figure:
    """Mean of one value a patient."""
    return ratio(values, np.ones(len(values)))


def divided(numerators: Floats, denominators: Floats) -> Floats:
    """Quotients, not a number where the denominator is zero."""
    quotients: Floats = np.full(np.shape(numerators), np.nan)
    np.divide(numerators, denominators, out=quotients, where=denominators > 0)
    return quotients


def share(hits: int, of: int) -> Interval:
    """A share of patients with its exact binomial interval (Clopper and Pearson 1934).

    Drawing anew says nothing where all patients agree: every draw agrees, too.
    """
    if of == 0:
        return Interval(value=float("nan"), low=float("nan"), high=float("nan"))
    tail = (1 - LEVEL) / 2
    low = float(beta.ppf(tail, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, of - hits)) if hits < of else 1.0
    return Interval(value=hits / of, low=low, high=high)

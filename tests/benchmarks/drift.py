"""How often the drift watch calls wrongly, and how soon it sees a scanner that has changed.

`python tests/benchmarks/drift.py [DRAWS]` draws so many scanner-months for each line (10000); that
takes about a quarter of an hour. Tumour-free study scores are log-normal with the median and the
spread of the shipped model's calibration, abnormal ones three times as high; a drift multiplies
every score. "While it fills" asks after every study from the 20th on, as a hold does.
"""

import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from agent import drift
from agent.drift import Rule

MEDIAN, SPREAD, ABNORMAL = 3.65, 0.45, 3.0
REFERENCES = (20, 50, 100, 200)
MONTHS = (20, 50, 100, 200)
FACTORS = (0.5, 0.7, 0.8, 1.25, 1.5, 2.0)
SHARES = (0.0, 0.1, 0.3)
RULE = Rule()


def main() -> None:
    """Print the tables."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    chance = np.random.default_rng(5)
    print(f"False alarms, of {draws} scanner-months without drift")
    print("calibration  month  " + "  ".join(f"abnormal {share:4.0%}" for share in SHARES))
    for reference in REFERENCES:
        for month in MONTHS:
            rates = (rate(chance, draws, reference, [month], share) for share in SHARES)
            print(f"{reference:11d}  {month:5d}  " + "  ".join(f"{one:13.4f}" for one in rates))
    print(f"\nThe same while it fills to 100 studies, of {draws // 5}")
    for reference in (20, 50, 200):
        filling = range(RULE.minimum_studies, 101)
        rates = (rate(chance, draws // 5, reference, filling, share) for share in SHARES)
        print(f"{reference:11d}  {100:5d}  " + "  ".join(f"{one:13.4f}" for one in rates))
    print(f"\nDrift that is seen, 10 % abnormal, of {draws // 10}")
    print("calibration  factor  " + "  ".join(f"month {month:4d}" for month in MONTHS))
    for reference in REFERENCES:
        for factor in FACTORS:
            rates = (rate(chance, draws // 10, reference, [month], 0.1, factor) for month in MONTHS)
            print(f"{reference:11d}  {factor:6g}  " + "  ".join(f"{one:10.2f}" for one in rates))


def rate(
    chance: np.random.Generator,
    draws: int,
    reference: int,
    counts: Iterable[int],
    share: float,
    factor: float = 1.0,
) -> float:
    """The share of scanner-months with an alarm when asked after these numbers of studies."""
    asked = list(counts)
    alarms = 0
    for _ in range(draws):
        calibration = scores(chance, reference, 0.0)
        month = factor * scores(chance, asked[-1], share)
        alarms += any(alarming(month[:count], calibration) for count in asked)
    return alarms / draws


def scores(chance: np.random.Generator, count: int, share: float) -> NDArray[np.float64]:
    """Drawn study scores, of which about that share is abnormal."""
    drawn = chance.lognormal(np.log(MEDIAN), SPREAD, count)
    return np.where(chance.random(count) < share, ABNORMAL * drawn, drawn)


def alarming(month: NDArray[np.float64], calibration: NDArray[np.float64]) -> bool:
    """What `drift.judge` says, by heights that are worked out once for each pair of numbers."""
    found = drift.differences(month, calibration, RULE.abnormal_share)
    return any(np.greater_equal(found, needed(len(calibration), len(month))))


@cache
def needed(n: int, m: int) -> tuple[float, float]:
    """The heights of D+ and of D- from which on there is an alarm."""

    def high(height: float) -> float:
        return drift.p_too_high(height, n, m, RULE.abnormal_share)

    def low(height: float) -> float:
        return drift.p_too_low(height, n, m)

    found = []
    for p_value in (high, low):
        below, above = 0.0, 1.0
        while above - below > 1e-7:
            middle = (below + above) / 2
            alarm = drift.DIRECTIONS * p_value(middle) <= RULE.significance
            below, above = (below, middle) if alarm else (middle, above)
        found.append(above)
    return found[0], found[1]


if __name__ == "__main__":
    main()

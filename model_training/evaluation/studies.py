"""What is said about whole studies: verdicts, and regions off the known lesions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.imaging import morphology
from model_training.evaluation import resampling
from model_training.evaluation.metrics import Labels
from model_training.evaluation.resampling import Interval

NEAR_MM = 3.0  # a region that comes this close to a known lesion, in a slice, is explained by it
EVERYONE = "all"
OTHERS = "others"


@dataclass(frozen=True, kw_only=True)
class Study:
    """One subject's verdict. `elsewhere` counts what comes near no known lesion. `mass_like` and
    `score` are None where a way of scoring tells no patterns apart or has no study score."""

    name: str
    mass_like: bool | None
    score: float | None
    slices: int
    slices_marked: int
    slices_marked_elsewhere: int
    regions: int
    regions_elsewhere: int
    marked_ml: float
    marked_elsewhere_ml: float

    @property
    def abnormal(self) -> bool:
        """Whether anything is marked."""
        return self.regions > 0


def study(
    name: str,
    regions: NDArray[np.integer],
    lesion: Labels,
    *,
    evaluated: Labels,
    spacing_mm: tuple[float, float, float],
    mass_like: bool | None = None,
    score: float | None = None,
) -> Study:
    """Reads one subject's numbered regions."""
    near = morphology.dilated(lesion, NEAR_MM, spacing_mm)
    numbers = np.unique(regions[regions > 0])
    explained = np.unique(regions[near & (regions > 0)])
    elsewhere = (regions > 0) & ~np.isin(regions, explained)
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    return Study(
        name=name,
        mass_like=mass_like,
        score=score,
        slices=int(evaluated.sum()),
        slices_marked=int((regions > 0)[evaluated].any(axis=(1, 2)).sum()),
        slices_marked_elsewhere=int(elsewhere[evaluated].any(axis=(1, 2)).sum()),
        regions=len(numbers),
        regions_elsewhere=len(numbers) - len(explained),
        marked_ml=float((regions > 0).sum()) * voxel_ml,
        marked_elsewhere_ml=float(((regions > 0) & ~near).sum()) * voxel_ml,
    )


@dataclass(frozen=True, kw_only=True)
class Alarms:
    """The studies of one group together; rates are means a study."""

    name: str
    studies: int
    abnormal: Interval
    mass_like: Interval | None
    slices: int
    slices_marked: Interval
    slices_marked_elsewhere: Interval
    regions: Interval
    regions_elsewhere: Interval
    marked_ml: Interval
    marked_elsewhere_ml: Interval


def by_group(found: Sequence[Study]) -> list[Alarms]:
    """Each group, then all subjects together."""
    groups = [(name, [found[place] for place in places]) for name, places in grouped(found).items()]
    return [alarms(name, part) for name, part in [*groups, (EVERYONE, list(found))]]


def grouped(found: Sequence[Study]) -> dict[str, list[int]]:
    """Places of the subjects by the beginning of their names, `ms` of `ms_101`.

    Only a beginning that a number follows and that several subjects share names a group: any other
    may be a patient's own name, which no report may show.
    """
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(found):
        beginning, _, rest = one.name.partition("_")
        groups.setdefault(beginning if rest.isdecimal() else OTHERS, []).append(place)
    alone = [name for name, places in groups.items() if len(places) == 1 and name != OTHERS]
    others = sorted([*groups.pop(OTHERS, []), *(groups.pop(name)[0] for name in alone)])
    return dict(sorted(groups.items())) | ({OTHERS: others} if others else {})


def alarms(name: str, found: Sequence[Study]) -> Alarms:
    """What is marked in a group of subjects."""
    number = len(found)

    def per(upper: Callable[[Study], float], lower: Callable[[Study], float]) -> Interval:
        above = np.array([upper(one) for one in found], dtype=np.float64)
        below = np.array([lower(one) for one in found], dtype=np.float64)
        return resampling.interval(resampling.ratio(above, below), number)

    known = [one.mass_like for one in found if one.mass_like is not None]
    return Alarms(
        name=name,
        studies=number,
        abnormal=resampling.share(sum(one.abnormal for one in found), number),
        mass_like=resampling.share(sum(known), number) if len(known) == number else None,
        slices=sum(one.slices for one in found),
        slices_marked=per(lambda one: one.slices_marked, lambda one: one.slices),
        slices_marked_elsewhere=per(
            lambda one: one.slices_marked_elsewhere, lambda one: one.slices
        ),
        regions=per(lambda one: one.regions, lambda _: 1.0),
        regions_elsewhere=per(lambda one: one.regions_elsewhere, lambda _: 1.0),
        marked_ml=per(lambda one: one.marked_ml, lambda _: 1.0),
        marked_elsewhere_ml=per(lambda one: one.marked_elsewhere_ml, lambda _: 1.0),
    )

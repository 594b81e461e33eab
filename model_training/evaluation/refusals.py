"""How many good volumes the limits of acceptance would refuse at a site they were not learnt at."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.imaging import acceptance
from agent.imaging.acceptance import Limits
from model_training.acceptance import Sample, fit


@dataclass(frozen=True, kw_only=True)
class Refusals:
    """What limits say of the good volumes of one site, and of their slices one by one."""

    site: str
    volumes: int
    refused: tuple[str, ...]
    remarked: int
    slices: int
    slices_refused: int


def left_out(samples: Sequence[Sample]) -> tuple[Refusals, ...]:
    """Each site judged by limits that were learnt without it."""
    sites = dict.fromkeys(one.site for one in samples)
    return tuple(
        count(
            [one for one in samples if one.site == site],
            fit([one for one in samples if one.site != site]),
        )
        for site in sites
    )


def count(samples: Sequence[Sample], limits: Limits) -> Refusals:
    """What limits say of samples of one site."""
    judged = [acceptance.compare(one.stack, limits.stack, sequence="") for one in samples]
    singles = [
        acceptance.compare(single, limits.single, sequence="")
        for one in samples
        for single in one.singles
    ]
    pairs = zip(samples, judged, strict=True)
    return Refusals(
        site=samples[0].site,
        volumes=len(samples),
        refused=tuple(one.subject for one, verdict in pairs if verdict.refusal is not None),
        remarked=sum(bool(verdict.remarks) for verdict in judged),
        slices=len(singles),
        slices_refused=sum(verdict.refusal is not None for verdict in singles),
    )

"""Which series of a study is read: FLAIR by the node's own choice, T1 and T2 by rules of their own.

The node has no rules for T1 and T2. Kind of object, name, part of the body and slices are judged
by its rules for FLAIR; name and timing of the contrast by the numbers here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydicom.dataset import Dataset

from agent.dicom import series, series_rules
from agent.dicom.frames import Frame
from agent.dicom.series_rules import SeriesRules
from agent.dicom.traits import Plane, Traits, gather
from model_training.prepare.kinds import MrSequence


@dataclass(frozen=True, kw_only=True)
class Pick:
    """The series to read (None: none can be), one sentence, and what each other one is."""

    series_uid: str | None
    sentence: str
    passed_over: tuple[tuple[str, str], ...]  # title of the series, end of a sentence


@dataclass(frozen=True, kw_only=True)
class Weighting:
    """What a T1 or T2 series is called and how it is timed, in ms."""

    include: tuple[str, ...]
    echo_times_ms: tuple[float, float]
    repetition_times_ms: tuple[float, float]
    inversion_times_ms: tuple[float, float] | None  # None: no inversion
    gradient_echo: bool
    after_contrast: bool


# Spin echo T1 has TE 8 to 20 and TR 400 to 700; MPRAGE TE 2 to 5, TI near 900 and TR 2300 where the
# maker counts from inversion to inversion, 7 where from echo to echo. T2 turbo spin echo has TE 80
# to 120 and TR 3000 to 12000; gradient echo would be T2*.
_WEIGHTINGS = {
    MrSequence.T1: Weighting(
        include=(r"\bt1", r"mp ?rage", r"\bf?spgr\b", r"\bbravo\b"),
        echo_times_ms=(0.0, 30.0),
        repetition_times_ms=(0.0, 3500.0),
        inversion_times_ms=(300.0, 1300.0),
        gradient_echo=True,
        after_contrast=False,
    ),
    MrSequence.T2: Weighting(
        include=(r"\bt2w?\b",),
        echo_times_ms=(60.0, 250.0),
        repetition_times_ms=(1500.0, 20000.0),
        inversion_times_ms=None,
        gradient_echo=False,
        after_contrast=True,
    ),
}
_EXCLUDE = (*series_rules.INCLUDE, *series_rules.EXCLUDE)  # a FLAIR is neither


def choose(headers: Sequence[Dataset], sequence: MrSequence) -> Pick:
    """Choose the series of one study; the order of the headers has no influence."""
    by_series: dict[Any, list[Dataset]] = {}  # by the UID, for which storage has a type of its own
    for header in sorted(headers, key=lambda header: Frame(header).text("SOPInstanceUID")):
        by_series.setdefault(Frame(header).text("SeriesInstanceUID"), []).append(header)
    traits = [gather(uid, members) for uid, members in by_series.items()]
    traits.sort(key=lambda one: (one.number, one.uid))
    if sequence is MrSequence.FLAIR:
        return _by_the_node(headers, traits)
    return _by_rules(traits, sequence)


def _by_the_node(headers: Sequence[Dataset], traits: Sequence[Traits]) -> Pick:
    choice = series.choose(headers)
    titles = {one.uid: one.title for one in traits}
    passed = tuple(
        (titles[decision.series_uid], decision.reason)
        for decision in choice.decisions
        if not decision.chosen
    )
    return Pick(series_uid=choice.series_uid, sentence=choice.sentence, passed_over=passed)


def _by_rules(traits: Sequence[Traits], sequence: MrSequence) -> Pick:
    against = {one.uid: _against(one, sequence) for one in traits}
    readable = sorted((one for one in traits if against[one.uid] is None), key=_rank)
    winner = readable[0] if readable else None
    behind = f"it could be read as well, but {winner.title} is better" if winner else ""
    return Pick(
        series_uid=winner.uid if winner else None,
        sentence=f"{winner.title} was read." if winner else _none(traits, against, sequence),
        passed_over=tuple(
            (one.title, against[one.uid] or behind) for one in traits if one is not winner
        ),
    )


def _none(traits: Sequence[Traits], against: Mapping[Any, str | None], sequence: MrSequence) -> str:
    if len(traits) > 1:
        return f"There is no {sequence} series of the head among the {len(traits)} series."
    one = traits[0]
    return f"The only series of this study is no {sequence} of the head: {against[one.uid]}."


def _rank(traits: Traits) -> tuple[bool, bool, bool, float, int, str]:
    """Smaller is better."""
    return (
        traits.planes != {Plane.AXIAL},
        not traits.regular,
        traits.derived or traits.reformatted,
        -traits.coverage_mm,
        -traits.number,
        traits.uid,
    )


def _against(traits: Traits, sequence: MrSequence) -> str | None:
    """Why this series is passed over, as the end of a sentence; None when it can be read."""
    weighting = _WEIGHTINGS[sequence]
    if "FLUID_ATTENUATED" in traits.image_flavours:
        return "it is a FLAIR"
    reason = _against_by_the_node(traits)
    if reason:
        return reason
    if not series_rules.found(weighting.include, traits.description):
        return f"its description does not say {sequence}"
    if traits.after_contrast and not weighting.after_contrast:
        return "it was made after contrast medium"
    return _contradiction(traits, weighting)


def _against_by_the_node(traits: Traits) -> str | None:
    """What the node has against the series, its timing and its plane apart.

    Any plane will do: a volume fine enough is turned to axial when it is read, another refused.
    """
    timeless = replace(
        traits,
        description=traits.description or "unnamed",
        scanning_sequence=frozenset(),
        echo_planar=False,
        inversion_times_ms=(),
        echo_times_ms=(),
        repetition_times_ms=(),
    )
    reasons = [
        series_rules.against(timeless, SeriesRules(include=(".",), exclude=_EXCLUDE, plane=plane))
        for plane in Plane
    ]
    return None if None in reasons else reasons[0]


def _contradiction(traits: Traits, weighting: Weighting) -> str | None:
    """What in the timing or the pulse sequence the contrast cannot have."""
    if traits.echo_planar or "EP" in traits.scanning_sequence:
        return "it is echo-planar"
    spin_echo = "SE" in traits.scanning_sequence
    if "GR" in traits.scanning_sequence and not spin_echo and not weighting.gradient_echo:
        return "it is a gradient-echo sequence"
    limits = weighting.inversion_times_ms
    if limits is None and traits.inversion_times_ms:
        return f"it has an inversion time ({traits.inversion_times_ms[0]:g} ms)"
    for name, times, wanted in (
        ("inversion", traits.inversion_times_ms, limits),
        ("echo", traits.echo_times_ms, weighting.echo_times_ms),
        ("repetition", traits.repetition_times_ms, weighting.repetition_times_ms),
    ):
        if wanted and times and not wanted[0] <= times[0] <= wanted[1]:
            return f"its {name} time is {times[0]:g} ms, not {wanted[0]:g} to {wanted[1]:g} ms"
    return None

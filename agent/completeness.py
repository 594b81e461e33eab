"""Is a study complete? The decision alone, without any input or output.

What arrived, what the source says that it holds, whether slices are missing, and how long it has
been, lead to one step and, at the end, to the sentences that stand in the report. Series are named
by UID and number; descriptions may hold anything.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from storage.records import INCOMPLETE, SeriesUid

MAXIMUM_NAMED = 5  # series that a sentence names


class Step(StrEnum):
    """What is to be done about a study now."""

    WAIT = "WAIT"
    ASK = "ASK"  # the source, for the number of its images
    FETCH = "FETCH"  # the missing series, by C-MOVE
    SURVEY = "SURVEY"  # look for missing slices
    COMPLETE = "COMPLETE"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds: how long a study must be quiet, and how long it waits for what is missing."""

    quiet_seconds: float
    wait_seconds: float

    @property
    def last_seconds(self) -> float:
        """When waiting ends in any case."""
        return max(self.quiet_seconds, self.wait_seconds)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the source said: images of the kinds that we take, by series; None: nothing usable.

    `steady` is False when it had said something else before, so that it may still be receiving.
    """

    counts: Mapping[SeriesUid, int] | None
    steady: bool = True


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What the images themselves say: faults of series, and expectations that none of them meets.

    Each fault is a phrase such as "series 4 (1.2.3): 2 slices are missing after image 10".
    """

    faults: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that is known of a study with which no association is open.

    `answer` and `survey` are about exactly the images that are here; None where nobody has asked or
    looked since the last one. `stalled_seconds` counts from the last image that was new,
    `silence_seconds` from the last one of any kind, `watched_seconds` from when this process first
    saw the study. `source` is the AE title that may be asked, None where there is none. `expects`
    says that the configuration expects series, `exhausted` names those that were fetched in vain.
    """

    arrived: Mapping[SeriesUid, int]
    silence_seconds: float
    stalled_seconds: float
    watched_seconds: float
    source: str | None = None
    answer: Answer | None = None
    may_ask: bool = False
    busy: bool = False
    expects: bool = False
    survey: Survey | None = None
    may_move: bool = False
    exhausted: AbstractSet[SeriesUid] = frozenset()

    @property
    def counts(self) -> Mapping[SeriesUid, int]:
        """What the source holds; empty where it did not say, or does not know the study."""
        return (self.answer.counts if self.answer else None) or {}

    @property
    def missing(self) -> dict[SeriesUid, int]:
        """How many images of each series the source holds that have not arrived."""
        lacking = {uid: n - self.arrived.get(uid, 0) for uid, n in self.counts.items()}
        return {uid: lacking[uid] for uid in sorted(lacking) if lacking[uid] > 0}

    @property
    def fetchable(self) -> tuple[SeriesUid, ...]:
        """The series that may still be asked for by C-MOVE."""
        return tuple(uid for uid in self.missing if self.may_move and uid not in self.exhausted)

    @property
    def agrees(self) -> bool:
        """Whether the source counts exactly what is here."""
        return bool(self.counts) and dict(self.counts) == dict(self.arrived)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The next step; the sentences when it is to complete, the series when it is to fetch."""

    step: Step
    evidence: str = ""
    series: tuple[SeriesUid, ...] = ()


def decide(facts: Facts, limits: Limits) -> Decision:
    """The next step for a study with which no association is open."""
    late = facts.stalled_seconds >= limits.last_seconds
    if late and facts.watched_seconds >= limits.quiet_seconds:
        return _complete(facts, limits)
    if facts.busy:
        return Decision(step=Step.WAIT)
    if facts.source and facts.may_ask and facts.answer is None:
        return Decision(step=Step.ASK)
    if facts.agrees:
        return _agreed(facts, limits)
    if facts.missing:
        return _lacking(facts, limits, late=late)
    return _unsaid(facts, limits, late=late)


def _agreed(facts: Facts, limits: Limits) -> Decision:
    """Nothing to wait for, unless the source is growing or a series is expected."""
    settled = facts.answer is not None and facts.answer.steady
    if not settled and facts.silence_seconds < limits.quiet_seconds:
        return _ask_or_wait(facts)
    if facts.expects and facts.survey is None:
        return Decision(step=Step.SURVEY)
    if facts.survey and facts.survey.unmet:
        return _ask_or_wait(facts)
    return _complete(facts, limits)


def _lacking(facts: Facts, limits: Limits, *, late: bool) -> Decision:
    """Leave a sender that is still at it alone, then fetch what is missing."""
    if late:
        return _complete(facts, limits)
    if facts.silence_seconds >= limits.quiet_seconds and facts.fetchable:
        return Decision(step=Step.FETCH, series=facts.fetchable)
    return _ask_or_wait(facts)


def _unsaid(facts: Facts, limits: Limits, *, late: bool) -> Decision:
    """The source gives no guidance: the quiet time, and no slice that is missing."""
    to_be_asked = facts.source is not None and facts.answer is None
    if to_be_asked or facts.silence_seconds < limits.quiet_seconds:
        return _ask_or_wait(facts)
    if facts.survey is None:
        return Decision(step=Step.SURVEY)
    if (facts.survey.faults or facts.survey.unmet) and not late:
        return _ask_or_wait(facts)
    return _complete(facts, limits)


def _ask_or_wait(facts: Facts) -> Decision:
    return Decision(step=Step.ASK if facts.source and facts.may_ask else Step.WAIT)


def _complete(facts: Facts, limits: Limits) -> Decision:
    return Decision(step=Step.COMPLETE, evidence=_evidence(facts, limits))


def _evidence(facts: Facts, limits: Limits) -> str:
    """Every reason in a sentence, what is missing first."""
    return " ".join([*_incomplete(facts), *_grounds(facts, limits)])


def _incomplete(facts: Facts) -> list[str]:
    survey = facts.survey or Survey()
    phrases = _few(survey.faults) if not facts.agrees else []
    if facts.missing:
        held, lost = sum(facts.counts.values()), sum(facts.missing.values())
        phrases.insert(
            0,
            f"{held - lost} of the {held} images that {facts.source} holds were received "
            f"({_listed(facts)})",
        )
    phrases += [f"no series matches the expected {pattern!r}" for pattern in survey.unmet]
    return [f"{INCOMPLETE} {'; '.join(phrases)}."] if phrases else []


def _listed(facts: Facts) -> str:
    return ", ".join(
        _few(
            [
                f"{count} of {facts.counts[uid]} missing of series {uid}"
                for uid, count in facts.missing.items()
            ]
        )
    )


def _few(phrases: Sequence[str]) -> list[str]:
    more = len(phrases) - MAXIMUM_NAMED
    return [*phrases[:MAXIMUM_NAMED], *([f"and {more} more"] if more > 0 else [])]


def _grounds(facts: Facts, limits: Limits) -> list[str]:
    images = _images(sum(facts.arrived.values()))
    waited = f"Nothing new came for {limits.last_seconds:g} s; {images} were received."
    if facts.missing:
        return [waited]
    if facts.agrees:
        series = f"{len(facts.counts)} series"
        agreed = f"{facts.source} holds {images} in {series} of this study; all were received."
        return [agreed, waited] if facts.survey and facts.survey.unmet else [agreed]
    quiet = (
        f"No association with images of this study was open and no image came for "
        f"{limits.quiet_seconds:g} s; {images} were received."
    )
    return [*_silence(facts), quiet if facts.silence_seconds >= limits.quiet_seconds else waited]


def _silence(facts: Facts) -> list[str]:
    """Why the source says nothing about this study."""
    if facts.source is None:
        return []
    if facts.answer is None or facts.answer.counts is None:
        return [f"{facts.source} could not be asked how many images there are."]
    if not facts.answer.counts:
        return [f"{facts.source} knows no image of this study."]
    return [f"{facts.source} counts fewer images than were received."]


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"

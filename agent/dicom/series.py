"""Which series of a study is read, and why each of the others is not."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import MediaStorageDirectoryStorage

from agent.dicom import file_reader, series_rules
from agent.dicom.file_reader import NotDicom
from agent.dicom.frames import Frame
from agent.dicom.series_rules import SeriesRules
from agent.dicom.traits import Plane, Traits, gather
from agent.errors import UnreadableInput
from storage.records import SeriesDecision, SeriesUid

__all__ = ["Choice", "Plane", "SeriesRules", "choose", "read_headers"]

Rank = tuple[bool, bool, bool, bool, bool, bool, int, int, str]

# Why a series that could be read stands behind another: one phrase for each place in the rank.
_BEHIND = (
    "its slices are no regular stack",
    "it was made after contrast medium",
    "it was computed from other images",
    "its slices are not axial",
    "only its timing and not its name says so",
    "its headers do not confirm it by their timing",
    "it covers less of the head",
    "it has a lower series number, and of two equal series the later is taken as the repeat",
    "nothing but its identifier sets it apart",
)
_ENOUGH_COVERAGE_MM = 140  # from the foramen magnum to the vertex; more is neck or air
_COVERAGE_STEP_MM = 20


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The series to read (None: none can be), what was decided on each, and one sentence."""

    series_uid: SeriesUid | None
    decisions: tuple[SeriesDecision, ...]
    sentence: str


def choose(headers: Sequence[Dataset], rules: SeriesRules | None = None) -> Choice:
    """Choose the series to read from the headers of all images of one study.

    The order of the headers has no influence.
    """
    rules = rules or SeriesRules()
    series = [gather(uid, members) for uid, members in _by_series(headers)]
    series.sort(key=lambda traits: (traits.number, traits.uid))
    scanners = {traits.maker.casefold() for traits in series if not traits.derived}
    reasons = {
        traits.uid: series_rules.against(traits, rules) or _by_others(traits, scanners)
        for traits in series
    }
    readable = [traits for traits in series if reasons[traits.uid] is None]
    ranked = sorted(readable, key=lambda traits: _rank(traits, rules))
    if not ranked:
        decisions = tuple(_decision(traits, False, reasons[traits.uid] or "") for traits in series)
        return Choice(series_uid=None, decisions=decisions, sentence=_none(series, reasons, rules))
    winner = ranked[0]
    why = _why(winner, rules)
    decisions = tuple(
        _decision(traits, True, why)
        if traits is winner
        else _decision(traits, False, reasons[traits.uid] or _behind(traits, winner, rules))
        for traits in series
    )
    sentence = f"{_capital(winner.title)} was read: it is {why}."
    return Choice(series_uid=winner.uid, decisions=decisions, sentence=sentence)


class Unreadable(NamedTuple):
    """A file without headers to read. `damaged`: it may well be an image, of whatever series."""

    path: Path
    sentence: str
    damaged: bool


def read_headers(paths: Iterable[Path]) -> tuple[list[Dataset], list[Unreadable]]:
    """The headers of all files that are DICOM, and the other files with what is wrong with each."""
    headers: list[Dataset] = []
    unreadable: list[Unreadable] = []
    for path in paths:
        try:
            header = file_reader.read(path, pixels=False)
        except UnreadableInput as error:
            damaged = not isinstance(error, NotDicom)
            unreadable.append(Unreadable(path, str(error), damaged))
        else:
            if Frame(header).text("SeriesInstanceUID"):
                headers.append(header)
            else:
                nameless = f"{path.name} does not name the series it belongs to."
                unreadable.append(Unreadable(path, nameless, damaged=not _is_directory(header)))
    return headers, unreadable


def _is_directory(header: Dataset) -> bool:
    """Whether it is a DICOMDIR (PS3.10 8.6), which lies beside images and is none."""
    return bool(header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage)


def _by_others(traits: Traits, scanners: AbstractSet[str]) -> str | None:
    """Another program's result is no acquisition, whatever it is called."""
    if not traits.derived or not traits.maker or traits.maker.casefold() in scanners:
        return None
    if not any(scanners):  # no acquired image that names its maker
        return None
    return f"it was computed from other images by {traits.maker}, not by the scanner"


def _by_series(headers: Sequence[Dataset]) -> list[tuple[SeriesUid, list[Dataset]]]:
    members: dict[SeriesUid, list[Dataset]] = {}
    for header in sorted(headers, key=lambda header: Frame(header).text("SOPInstanceUID")):
        uid = SeriesUid(Frame(header).text("SeriesInstanceUID"))
        members.setdefault(uid, []).append(header)
    return list(members.items())


def _rank(traits: Traits, rules: SeriesRules) -> Rank:
    """Smaller is better; each place is explained in `_BEHIND`."""
    return (
        not traits.regular,
        traits.after_contrast,
        traits.derived or traits.reformatted,
        traits.planes != {rules.plane},
        not series_rules.is_named(traits, rules),
        not series_rules.is_timed(traits, rules),
        -int(min(traits.coverage_mm, _ENOUGH_COVERAGE_MM) // _COVERAGE_STEP_MM),
        -traits.number,
        traits.uid,
    )


def _behind(traits: Traits, winner: Traits, rules: SeriesRules) -> str:
    pairs = zip(_rank(traits, rules), _rank(winner, rules), strict=True)
    at = next(place for place, (own, best) in enumerate(pairs) if own != best)
    return f"it could be read as well, but {winner.title} is better: {_BEHIND[at]}"


def _why(traits: Traits, rules: SeriesRules) -> str:
    """What speaks for the chosen series."""
    grounds = []
    if series_rules.is_named(traits, rules):
        grounds.append("its name")
    if series_rules.is_timed(traits, rules):
        times = (traits.inversion_times_ms, traits.echo_times_ms, traits.repetition_times_ms)
        inversion, echo, repetition = (f"{values[0]:.0f}" for values in times)
        grounds.append(f"its timing (TI {inversion} ms, TE {echo} ms, TR {repetition} ms)")
    kind = "reformatted " if traits.reformatted else "derived " if traits.derived else ""
    contrast = ", made after contrast medium" if traits.after_contrast else ""
    plane = " and ".join(sorted(traits.planes))
    article = "an" if plane.startswith("a") else "a"
    return (
        f"{article} {plane} {kind}T2-FLAIR by {' and '.join(grounds)}, {traits.place_count} slices "
        f"over {traits.coverage_mm:.0f} mm{contrast}"
    )


def _none(
    series: Sequence[Traits], reasons: dict[SeriesUid, str | None], rules: SeriesRules
) -> str:
    """Say that no series can be read, and name the one that comes closest."""
    if not series:
        return "The study holds no image that can be read."
    sentence = (
        f"The only series of this study is no {rules.plane} T2-FLAIR of the head."
        if len(series) == 1
        else f"There is no {rules.plane} T2-FLAIR of the head among the {len(series)} series."
    )
    closest = [t for t in series if t.modality == "MR" and series_rules.is_named(t, rules)]
    named = closest or (list(series) if len(series) == 1 else [])
    if named:
        sentence += f" {_capital(named[0].title)} was passed over: {reasons[named[0].uid]}."
    return sentence


def _decision(traits: Traits, chosen: bool, reason: str) -> SeriesDecision:
    return SeriesDecision(
        series_uid=traits.uid,
        number=traits.number,
        modality=traits.modality,
        instance_count=traits.instance_count,
        chosen=chosen,
        reason=reason,
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

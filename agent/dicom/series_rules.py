"""What makes a series readable: the rules, and why they pass a series over."""

import re
from dataclasses import dataclass

from pydicom.uid import (
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)

from agent.dicom.traits import Plane, Traits, words
from agent.errors import ConfigurationError
from agent.imaging.reformat import THICKEST_MM

INCLUDE = (r"flair", r"dark ?fl", r"\bda ?fl\b", r"fluid ?att", r"\btirm\b")
"""FLAIR in the words of the makers; Siemens says `t2_tirm_tra_dark-fluid`."""

EXCLUDE = (
    r"\bt1w?( (?!t2)\w+){0,2} ?(flair|dark ?fl|tirm)|\bt1w?flair",
    r"\b(stir|psir|dir|double (ir|inversion))\b",
    r"\b(dwi|dti|diff|diffusion|adc|eadc|trace\w*|tensor|b ?\d{3,4}|ep2d\w*|epi)\b",
    r"\b(asl|pcasl|perf\w*|pwi|dsc|dce|cbf|cbv|mtt|ttp|bold|fmri)\b",
    r"\b(loc|locali[sz]er|scout|survey|smartbrain|3 ?plane)\b",
    r"\b(sub|subtract\w*|subtraktion|difference|mip|minip|phase|map|synth\w*|symri|magic)\b",
    r"spine|cervical|thoracic|lumbar|\b[clt] ?sp\b|\b(wirbel\w*|hws|bws|lws|rachis|columna)\b",
    r"\b(knee|shoulder|hip|pelvis|abdomen|liver|prostate|breast|ankle|wrist|heart|cardiac)\b",
)

NOT_THE_HEAD = (
    r"^(?!.*(HEAD|BRAIN|SKULL|CRANI)).*"
    r"(SPINE|VERTEBRA|KNEE|SHOULDER|\bHIP\b|PELVIS|ABDOMEN|CHEST|THORAX|BREAST|PROSTATE|HEART|LIVER"
    r"|KIDNEY|ANKLE|FOOT|HAND|WRIST|ELBOW|EXTREMITY|\bLEG\b|\bARM\b|FEMUR|THIGH|CALF|UTERUS)"
)

_MR_IMAGES = frozenset(
    {MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage}
)

# Values of the image type that tell what a series is, when it is not what we want.
_KINDS = (
    ("a localizer", r"LOCALIZER|SCOUT|SURVEY"),
    ("diffusion imaging", r"E?ADC|DIFFUSION.*|TRACEW?|FA|EXP|TENSOR.*"),
    ("perfusion imaging", r"PERFUSION.*|P?C?ASL|R?(EL)?CB[FV]|MTT|TTP|TTEST"),
    ("a projection", r"PROJECTION.*|MIP|MINIP|M(AX|IN)_IP"),
    ("a subtraction", r"SUB|SUBTRACT.*"),
    ("a phase, real or imaginary image", r"[PRI]|[PRI]_.+|PHASE.*|REAL|IMAGINARY|VELOCITY.*"),
    ("a mosaic of many slices in one image", r"MOSAIC"),
    ("a computed map", r".*MAP"),
    ("a screenshot", r"SCREEN SAVE|SCREENSHOT|CSA REPORT"),
)


@dataclass(frozen=True, kw_only=True)
class SeriesRules:
    """Which series is read. The default takes T2-FLAIR of the head, axial or thin enough to be read
    as such.

    Patterns are regular expressions without regard to case, searched in the description as it
    stands and with a single space for all punctuation. With `timing_suffices`, a series that no
    `include` pattern names is still taken when echo, repetition and inversion time are all those
    of a T2-FLAIR. Raises ConfigurationError for a pattern that is no regular expression.
    """

    include: tuple[str, ...] = INCLUDE
    exclude: tuple[str, ...] = EXCLUDE
    excluded_body_part: str = NOT_THE_HEAD
    timing_suffices: bool = True
    plane: Plane = Plane.AXIAL
    minimum_slices: int = 8
    minimum_coverage_mm: float = 60.0
    # T1-FLAIR has TI near 800 ms and TE near 20 ms, STIR TI near 170 ms; the fluid's null point
    # for T2-FLAIR lies at 1650 ms (3D, short TR) to 2800 ms.
    inversion_time_ms: tuple[float, float] = (1500.0, 3500.0)
    minimum_echo_time_ms: float = 60.0
    minimum_repetition_time_ms: float = 4000.0

    def __post_init__(self) -> None:
        for pattern in (*self.include, *self.exclude, self.excluded_body_part):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigurationError(
                    f'The series rule "{pattern}" is not a regular expression: {error}.'
                ) from error


def found(patterns: tuple[str, ...], description: str) -> str | None:
    """The first piece of the description that a pattern matches, as far as it may be repeated."""
    for pattern in patterns:
        for text in (words(description), description):
            match = re.search(pattern, text, re.IGNORECASE)
            if match and match.group().strip():
                return repeatable(match.group().strip(), pattern)
    return None


def repeatable(piece: str, pattern: str) -> str:
    """A matched piece in words of the rule; anything else may be a patient's name: `t1 … flair`."""
    rule = re.sub(r"\\.", " ", pattern.lower())  # without \b, \w and the like
    shorter = re.sub(r"[^\W_][?]", " ", rule)  # what `t1w?` also finds
    stated = re.findall(r"[^\W_]+", f"{rule} {shorter}")
    longest_first = sorted(stated, key=len, reverse=True)

    def shown(match: re.Match[str]) -> str:
        word = match.group()
        known = next((one for one in longest_first if word.lower().startswith(one)), "")
        return word if len(known) == len(word) else f"{word[: len(known)]}…"

    return re.sub(r"[^\W_]+", shown, piece)


def is_named(traits: Traits, rules: SeriesRules) -> bool:
    """Whether the description, or an enhanced object's contrast, says FLAIR."""
    by_contrast = rules.timing_suffices and "FLUID_ATTENUATED" in traits.image_flavours
    return by_contrast or found(rules.include, traits.description) is not None


def is_timed(traits: Traits, rules: SeriesRules) -> bool:
    """Whether all three times are stated and none contradicts T2-FLAIR."""
    times = (traits.inversion_times_ms, traits.echo_times_ms, traits.repetition_times_ms)
    return all(times) and contradiction(traits, rules) is None


def against(traits: Traits, rules: SeriesRules) -> str | None:
    """Why this series is passed over, as the end of a sentence; None when it can be read."""
    return (
        _wrong_object(traits)
        or _wrong_kind(traits)
        or _wrong_name(traits, rules)
        or _wrong_part(traits, rules)
        or _not_flair(traits, rules)
        or _wrong_slices(traits, rules)
    )


def contradiction(traits: Traits, rules: SeriesRules) -> str | None:
    """What in the timing or the pulse sequence a T2-FLAIR cannot have."""
    if traits.echo_planar or "EP" in traits.scanning_sequence:
        return "it is echo-planar"
    if "GR" in traits.scanning_sequence and "SE" not in traits.scanning_sequence:
        return "it is a gradient-echo sequence"
    shortest, longest = rules.inversion_time_ms
    for time in traits.inversion_times_ms:
        if not shortest <= time <= longest:
            return f"its inversion time is {time:g} ms, not {shortest:g} to {longest:g} ms"
    for name, times, least in (
        ("echo", traits.echo_times_ms, rules.minimum_echo_time_ms),
        ("repetition", traits.repetition_times_ms, rules.minimum_repetition_time_ms),
    ):
        if times and times[0] < least:
            return f"its {name} time is {times[0]:g} ms, not {least:g} ms or more"
    return None


def _wrong_object(traits: Traits) -> str | None:
    if traits.modality != "MR":
        return f"it is not MR but {traits.modality or 'of no stated modality'}"
    if not traits.sop_classes <= _MR_IMAGES:
        return "it does not hold MR images only"
    return None


def _wrong_kind(traits: Traits) -> str | None:
    if traits.derived and traits.burned_in:
        return "it is a computed picture with annotations burned in"
    for kind, pattern in _KINDS:
        if any(re.fullmatch(pattern, value) for value in traits.image_type | traits.image_flavours):
            return f"it is {kind}"
    if traits.b_values:
        return f"it is diffusion imaging (b-value {traits.b_values[-1]:g})"
    return None


def _wrong_name(traits: Traits, rules: SeriesRules) -> str | None:
    excluded = found(rules.exclude, traits.description)
    return f'its description says "{excluded}"' if excluded else None


def _wrong_part(traits: Traits, rules: SeriesRules) -> str | None:
    match = re.search(rules.excluded_body_part, traits.body_part)
    if match is None:
        return None
    part = repeatable(match[match.lastindex or 0], rules.excluded_body_part)
    return f"it shows another part of the body ({part})"


def _not_flair(traits: Traits, rules: SeriesRules) -> str | None:
    wrong = contradiction(traits, rules)
    if is_named(traits, rules):
        return f"it is named like a FLAIR but is not T2-FLAIR: {wrong}" if wrong else None
    if rules.timing_suffices and is_timed(traits, rules):
        return None
    return f"it is not a T2-FLAIR by name, and {wrong or 'its timing does not show one'}"


def is_thin(traits: Traits) -> bool:
    """Whether the slices lie close enough to be read in any plane."""
    return traits.place_count > 0 and traits.coverage_mm / traits.place_count <= THICKEST_MM


def _wrong_slices(traits: Traits, rules: SeriesRules) -> str | None:
    if traits.image_count < rules.minimum_slices:
        images = "1 image" if traits.image_count == 1 else f"{traits.image_count} images"
        return f"it has only {images}, at least {rules.minimum_slices} are needed"
    if not traits.planes:
        return "it does not say how its slices lie"
    if len(traits.planes) > 1 or (traits.planes != {rules.plane} and not is_thin(traits)):
        planes = " and ".join(sorted(traits.planes))
        return f"its slices are {planes}, {rules.plane} or thin 3D ones are needed"
    if traits.place_count < rules.minimum_slices:
        return (
            f"its images lie at only {traits.place_count} different places, at least "
            f"{rules.minimum_slices} are needed"
        )
    if traits.coverage_mm < rules.minimum_coverage_mm:
        return (
            f"it covers only {traits.coverage_mm:.0f} mm, at least "
            f"{rules.minimum_coverage_mm:.0f} mm are needed"
        )
    return None

"""What the name of an image file says: subject, session, sequence, and whether it is a mask."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from agent import pictures
from model_training.prepare.kinds import MrSequence

NIFTI_SUFFIXES = (".nii.gz", ".nii")
MAXIMUM_NAME = 100  # characters; a folder name may have 255 bytes

_SEQUENCES = (
    (MrSequence.FLAIR, re.compile(r"(t2w?)?flair(w)?|darkfluid")),
    (MrSequence.T1, re.compile(r"t1(w|n)?|mprage|mp2rage|spgr|bravo")),
    (MrSequence.T2, re.compile(r"t2w?")),
)
_OTHER = re.compile(
    r"t1(ce|c|gd|post|contrast|k)|t2(star|s)|t2starw?|dwi|adc|dti|trace\w*|bold|epi|sbref|asl|m0scan"
    r"|cbf|cbv|perf\w*|swi|pdw?|pdt2|inplanet[12]|angio|mra|magnitude\d?|phase\w*|phasediff|fieldmap"
    r"|unit1|t[12]map|r[12](star)?map|ct|pet"
)
_MASK = re.compile(r"\w*mask|\w*lesions?|wmh|\w*seg|segmentation|rois?|labels?")
_NOT_LESION = re.compile(r"(brain|head|skull|deface|face|tissue)\w*|gm|wm|csf|dseg|probseg|aseg")
_SUBJECT = re.compile(r"(?<![A-Za-z0-9])sub-[A-Za-z0-9]+")
_SESSION = re.compile(r"(?<![A-Za-z0-9])ses-[A-Za-z0-9]+")
_RUN = re.compile(r"(?<![A-Za-z0-9])run-[0-9]+")


@dataclass(frozen=True, kw_only=True)
class Name:
    """What a name says. `rest` is what is left of it without sequence and mask words.

    `sequence` is None where no word names one, and where the word names one that is not read
    (`other` is then that word).
    """

    stem: str
    rest: str
    subject: str | None
    session: str | None
    run: str | None
    sequence: MrSequence | None
    other: str | None
    mask: bool
    lesion: bool  # a mask that is said to be of a lesion
    not_lesion: bool  # a mask of something else: the brain, a tissue
    white_matter: bool  # a mask of white-matter lesions, which are no tumours


def parse(path: PurePath) -> Name:
    """Read the name of a file; subject and session also from the folders it lies in."""
    stem = stem_of(path.name)
    words = [word.lower() for word in re.split(r"[^A-Za-z0-9]+", stem) if word]
    masks = [word for word in words if _MASK.fullmatch(word)]
    return Name(
        stem=stem,
        rest="_".join(word for word in words if not _says_what(word)),
        subject=_label(_SUBJECT, path),
        session=_label(_SESSION, path),
        run=_label(_RUN, PurePath(stem)),
        sequence=_sequence(words),
        other=next((word for word in words if _OTHER.fullmatch(word)), None),
        mask=bool(masks),
        lesion=any("lesion" in word or word == "wmh" for word in masks),
        not_lesion=bool(masks) and any(_NOT_LESION.fullmatch(word) for word in words),
        white_matter="wmh" in masks,
    )


def stem_of(name: str) -> str:
    """A file name without the ending of an image."""
    for suffix in (*NIFTI_SUFFIXES, *sorted(pictures.ACCEPTED)):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def unique(short: Sequence[str], long: Sequence[str]) -> list[str]:
    """A folder name for each: the short one, the long one where others have the same short one.

    Names that differ in case only count as the same, because some file systems say so.
    """
    often = Counter(name.lower() for name in short)
    chosen = [
        one if often[one.lower()] == 1 else safe(other)
        for one, other in zip(short, long, strict=True)
    ]
    seen: Counter[str] = Counter()
    for place, name in enumerate(chosen):
        if len(name) > MAXIMUM_NAME:
            digest = hashlib.sha256(name.encode()).hexdigest()[:8]
            chosen[place] = name = f"{name[:MAXIMUM_NAME]}-{digest}"
        seen[name.lower()] += 1
        if seen[name.lower()] > 1:
            chosen[place] = f"{name}-{seen[name.lower()]}"
    return chosen


def safe(text: str) -> str:
    """A text as the name of a folder."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("._") or "unnamed"


def _sequence(words: list[str]) -> MrSequence | None:
    if any(_OTHER.fullmatch(word) for word in words):
        return None
    for sequence, pattern in _SEQUENCES:
        if any(pattern.fullmatch(word) for word in words):
            return sequence
    return None


def _says_what(word: str) -> bool:
    sequences = any(pattern.fullmatch(word) for _, pattern in _SEQUENCES)
    return sequences or bool(_MASK.fullmatch(word) or _OTHER.fullmatch(word))


def _label(pattern: re.Pattern[str], path: PurePath) -> str | None:
    """The label nearest to the file name."""
    for part in reversed(path.parts):
        found = pattern.search(part)
        if found:
            return found.group()
    return None

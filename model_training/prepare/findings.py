"""What a look at the source brings: candidates for the collection, and what is refused."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_training.prepare.kinds import MrSequence, Why


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Something of the source that is not in the collection, and why, as one sentence."""

    source: str
    why: Why
    reason: str


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One image of the source, its pixels still unread.

    `image` holds one file, or those of a DICOM series. Equal `group` means one patient; where
    `find_lookalikes`, images that are nearly the same join its group. `abnormal` is what folder or
    table says, None where they say nothing.
    """

    name: str
    group: str
    source: str
    image: tuple[Path, ...]
    mask: Path | None = None
    sequence: MrSequence | None = None
    abnormal: bool | None = None
    find_lookalikes: bool = False


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """An image that was read, checked and written, with what tells whether it is a copy."""

    candidate: Candidate
    abnormal: bool | None
    digest: str  # of shape and voxels
    lesion_digest: str | None  # None where it has no mask
    thumbnail: NDArray[np.float32] | None


@dataclass(kw_only=True)
class Found:
    """All that a source holds, filled while it is looked through; `notes` are for whoever asked."""

    candidates: list[Candidate] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse(self, source: str, why: Why, reason: str) -> None:
        """Note that something is not taken."""
        self.refusals.append(Refusal(source=source, why=why, reason=reason))


class Unusable(Exception):
    """An image cannot be taken; the message is the sentence for `refused.csv`."""

    def __init__(self, why: Why, sentence: str) -> None:
        super().__init__(sentence)
        self.why = why

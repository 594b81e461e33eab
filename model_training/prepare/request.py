"""What is asked of `prepare`."""

import math
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ConfigurationError
from model_training.prepare.classes import FolderClasses
from model_training.prepare.kinds import Kind, MrSequence

Shares = tuple[float, float, float]  # train, calibration, test


@dataclass(frozen=True, kw_only=True)
class Request:
    """The source, where the collection goes, and what the source does not say by itself.

    Without `sequence` FLAIR is looked for, and images that do not name theirs are taken as
    unknown. Raises ConfigurationError for shares that are none and for folders that overlap.
    """

    source: Path
    out: Path
    kind: Kind
    sequence: MrSequence | None
    classes: FolderClasses
    all_normal: bool
    any_label: bool  # every mask value above 0 is lesion
    groups_file: Path | None
    split_file: Path | None
    shares: Shares
    seed: int
    private: Path  # what may name patients: the salt, and which folder a pseudonym stands for
    white_matter_is_normal: bool = False  # a mask named wmh makes no image abnormal
    splits_are_settled: bool = True  # by a table or an earlier collection, where there is one

    def __post_init__(self) -> None:
        if min(self.shares) < 0 or not math.isclose(sum(self.shares), 1, abs_tol=1e-6):
            raise ConfigurationError(
                f"The shares {' '.join(f'{share:g}' for share in self.shares)} of train, "
                "calibration and test do not add up to 1."
            )
        source, out, private = (path.resolve() for path in (self.source, self.out, self.private))
        if source.is_relative_to(out) or out.is_relative_to(source):
            raise ConfigurationError(
                f"The collection {self.out} and its source {self.source} lie inside each other; "
                "write it somewhere else."
            )
        if private.is_relative_to(out):
            raise ConfigurationError(
                f"{self.private} may name patients; keep it outside the collection."
            )

    @property
    def wanted(self) -> MrSequence:
        """The sequence to choose where there are several."""
        return self.sequence or MrSequence.FLAIR

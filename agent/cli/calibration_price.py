"""What a calibration chose, what it rests on, and what it costs: facts, and the same in words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent import calibration
from agent.calibration import OperatingPoint, Scored
from agent.imaging.findings import Thresholds
from agent.stored_studies import LesionScores


@dataclass(frozen=True, kw_only=True)
class Price:
    """A chosen threshold beside the one before.

    `used` holds one study of each patient among those `scored`.
    """

    before: Thresholds
    point: OperatingPoint
    scored: Sequence[Scored]
    used: Sequence[Scored]
    lesions: LesionScores

    @property
    def facts(self) -> dict[str, object]:
        """For a program. What passes has a slice score of at least the threshold."""
        return {
            "slice_threshold": self.point.slice,
            "slice_threshold_before": self.before.slice,
            "minimum_volume_ml": self.before.minimum_volume_ml,
            "false_positive_rate": self.point.rate,
            "interval": [self.point.low, self.point.high],
            "studies": self.point.studies,
            "of_the_same_patients_left_out": len(self.scored) - len(self.used),
            "passing": self.point.passing,
            "passing_before": self._passing_before,
            "marked_lesion": len(self.lesions.scores),
            "marked_lesion_passing_before": self._lesions_from(self.before.slice),
            "marked_lesion_passing": self._lesions_from(self.point.slice),
            "marked_lesion_read_by_others": self.lesions.by_others,
            "marked_lesion_not_analysed": self.lesions.not_analysed,
        }

    def sentences(self) -> Iterator[str]:
        """For a person. A slice score that reaches the threshold makes no verdict yet."""
        yield (
            f"Slice threshold {self.point.slice:.4g} (before {self.before.slice:.4g}): "
            f"{self.point.sentence}. The highest slice score of {self.point.passing} of them "
            f"reaches it, that of {self._passing_before} reached the one before."
        )
        left_out = len(self.scored) - len(self.used)
        if left_out:
            yield f"{left_out} further studies of the same patients were left out."
        yield self._cost()
        yield from self._uncounted()
        yield (
            f"A verdict also asks for a region of at least {self.before.minimum_volume_ml:g} ml in "
            "such a slice, so these are the most studies that can be called abnormal."
        )

    def _cost(self) -> str:
        count, reached = len(self.lesions.scores), self._lesions_from(self.point.slice)
        if not count:
            return (
                "No study that this model has read is marked lesion or missed: what the threshold "
                "costs in tumours not called cannot be said here."
            )
        before = self._lesions_from(self.before.slice)
        low, high = calibration.wilson(reached, count)
        return (
            f"Of {count} studies marked lesion or missed the highest slice score of {reached} "
            f"reaches it ({low:.2f} to {high:.2f}), that of {before} reached the one before."
        )

    def _uncounted(self) -> Iterator[str]:
        if self.lesions.by_others:
            yield (
                f"Not counted: {self.lesions.by_others} so marked that another model or another "
                "version of NeuroSieve has read; `neurosieve studies reprocess STUDY` reads one "
                "anew."
            )
        if self.lesions.not_analysed:
            yield f"Not counted: {self.lesions.not_analysed} so marked that were not analysed."

    @property
    def _passing_before(self) -> int:
        return sum(one.study_score >= self.before.slice for one in self.used)

    def _lesions_from(self, limit: float) -> int:
        return sum(score >= limit for score in self.lesions.scores)

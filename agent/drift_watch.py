"""Watches the scanners of a node: which have drifted, and whose studies are held back for it."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from sqlalchemy.orm import Session

from agent import drift, models_in_use
from agent.drift import ALARMING, Judgement, Rule, Verdict
from agent.errors import AgentError
from agent.model_store import ModelStore
from agent.model_toml import ModelDescription
from storage import activations, audit, trends
from storage.database import Database
from storage.trends import ScannerMonth

RELEASED = "scanner released"  # in the audit, with the scanner as its subject

Hold = Callable[[str | None, ModelDescription], str | None]
"""Says why studies of a scanner are held back from a model; None where they are not."""

_WORDS = {
    Verdict.TOO_HIGH: "higher than a share of {share:.0%} abnormal studies explains",
    Verdict.TOO_LOW: "lower than those of the tumour-free studies of the calibration",
}


@dataclass(frozen=True, kw_only=True)
class Watched:
    """One scanner in one month."""

    scanner: str
    month: str
    studies: int
    median: float
    abnormal_share: float
    judgement: Judgement


@dataclass(frozen=True, kw_only=True)
class DriftWatch:
    """The scores of every scanner against the calibration in force."""

    database: Database
    store: ModelStore
    rule: Rule

    def look(self) -> tuple[ModelDescription, list[Watched]]:
        """What is in force, and every scanner-month that it read."""
        with self.database.read() as session:
            described = models_in_use.described_in_force(session, self.store)
            return described, self._judged(session, described)

    def alarms(self) -> tuple[str, ...]:
        """A sentence for each scanner-month that has drifted, or why nothing can be said."""
        with self.database.read() as session:
            if activations.in_force(session) is None:
                return ()  # a node that only listens, before its first worker
        try:
            _, watched = self.look()
        except AgentError as error:
            return (f"The drift watch cannot look: {error}",)
        return tuple(self._sentence(one) for one in watched if one.judgement.verdict in ALARMING)

    def hold(self, scanner: str | None, described: ModelDescription) -> str | None:
        """Why studies of a scanner wait: it has drifted in any month since the calibration."""
        with self.database.read() as session:
            watched = self._judged(session, described, of=scanner or "")
        drifted = [one for one in watched if one.judgement.verdict in ALARMING]
        if not drifted:
            return None
        return (
            f"{self._sentence(drifted[-1])} Its studies are held back until the thresholds are "
            "calibrated anew or an administrator releases the scanner; then this study can be "
            "read again."
        )

    def _judged(
        self, session: Session, described: ModelDescription, *, of: str | None = None
    ) -> list[Watched]:
        months = trends.by_scanner_and_month(
            session,
            model_sha256=described.digest,
            threshold_version=described.thresholds.version,
            since=audit.newest(session, RELEASED),
            of=of,
        )
        return [self._watched(month, described) for month in months]

    def _watched(self, month: ScannerMonth, described: ModelDescription) -> Watched:
        return Watched(
            scanner=month.scanner,
            month=month.month,
            studies=len(month.scores),
            median=median(month.scores),
            abnormal_share=month.abnormal / len(month.scores),
            judgement=drift.judge(month.scores, described.study_reference, self.rule),
        )

    def _sentence(self, one: Watched) -> str:
        how = _WORDS[one.judgement.verdict].format(share=self.rule.abnormal_share)
        return (
            f"The scores of {one.scanner or 'a scanner without a name'} in {one.month} are {how} "
            f"({one.studies} studies, p = {one.judgement.p_value:.2g})."
        )


def never(scanner: str | None, described: ModelDescription) -> str | None:
    """Hold nothing back."""
    del scanner, described
    return None

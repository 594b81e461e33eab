"""What completion finds out in the background, so that one slow peer holds up no other study.

Every study has at most one errand at a time, every source a few. Nothing is kept over a restart:
the source is asked again, and the limits count from the images that were received.
"""

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

from agent.completeness import Answer, Decision, Facts, Step, Survey
from agent.dicom import gaps, holdings
from agent.dicom.holdings import Holdings, Source
from agent.dicom.query import PeerSeries
from agent.errors import PeerError
from storage import results, studies
from storage.database import Database
from storage.errors import StorageError
from storage.records import SeriesUid, Study, StudyKey
from storage.store import Store

logger = logging.getLogger(__name__)

MAXIMUM_FETCHES = 2  # of one series
ERRANDS_OF_A_SOURCE = 2  # at a time
SURVEYS = 4  # at a time
_STOP_SECONDS = 2.0
_LOCAL = ""  # in place of a source, for what is read from our own files

_Mark: TypeAlias = tuple[int, datetime]  # what a study held when something was found out
_Outcome: TypeAlias = Holdings | Survey | None


@dataclass(frozen=True, kw_only=True)
class Pauses:
    """Seconds between questions: they double as long as the answers stay the same."""

    first_ask: float = 2.0
    longest_ask: float = 60.0
    fetch: float = 30.0  # until a series is fetched once more
    unreachable: float = 10.0  # for which nobody asks a source that could not be asked


class _Errand(threading.Thread):
    """One thing that is found out; `outcome` is None where that failed."""

    def __init__(self, step: Step, place: str, mark: _Mark, work: Callable[[], _Outcome]) -> None:
        super().__init__(name=f"completion-{step.lower()}", daemon=True)
        self.step, self.place, self.mark = step, place, mark
        self.outcome: _Outcome = None
        self.error: Exception | None = None
        self._work = work

    def run(self) -> None:
        try:
            self.outcome = self._work()
        except Exception as error:  # noqa: BLE001 - a border: whatever a peer sends, others go on
            self.error = error


@dataclass(kw_only=True)
class _Talk:
    """What is known of one study; only completion's own thread changes it."""

    began: float
    mark: _Mark
    arrived: Mapping[SeriesUid, int]
    newest_at: datetime
    errand: _Errand | None = None
    answer: tuple[_Mark, Answer] | None = None
    survey: tuple[_Mark, Survey] | None = None
    counts: Mapping[SeriesUid, int] | None = None  # the newest ones, whatever came since
    listed: dict[PeerSeries, int] = field(default_factory=dict)
    fetches: Counter[SeriesUid] = field(default_factory=Counter)
    pause: float = 0.0
    next_ask: float = 0.0
    next_fetch: float = 0.0
    warned: bool = False


class Inquiries:
    """Keeps what is known of every receiving study, and runs the errands."""

    def __init__(
        self,
        *,
        database: Database,
        store: Store,
        sources: Mapping[str, Source],
        expected_series: Sequence[str] = (),
        pauses: Pauses | None = None,
    ) -> None:
        self._database = database
        self._store = store
        self._sources = sources
        self._expected = tuple(expected_series)
        self._pauses = pauses or Pauses()
        self._talks: dict[StudyKey, _Talk] = {}
        self._errands: list[_Errand] = []  # all that still run, also of studies that have ended
        self._unreachable: dict[str, float] = {}  # AE title: until when

    def keep(self, keys: Collection[StudyKey]) -> None:
        """Forget all other studies."""
        self._talks = {key: talk for key, talk in self._talks.items() if key in keys}
        self._errands = [one for one in self._errands if one.is_alive()]

    def stop(self) -> None:
        """Give what runs a moment to end; what does not is of no use any more."""
        for errand in self._errands:
            errand.join(_STOP_SECONDS / len(self._errands))

    def facts(self, study: Study) -> Facts:
        """Everything that is known of a study now. Raises `StorageError`."""
        talk, now = self._talk(study), time.monotonic()
        source = self._sources.get(study.source_ae)
        unreachable = source is not None and self._unreachable.get(source.ae_title, 0.0) > now
        answer = talk.answer[1] if talk.answer and talk.answer[0] == talk.mark else None
        return Facts(
            arrived=talk.arrived,
            silence_seconds=_seconds_since(study.last_received_at),
            stalled_seconds=_seconds_since(talk.newest_at),
            watched_seconds=now - talk.began,
            source=source.ae_title if source else None,
            answer=answer or (Answer(counts=None) if unreachable else None),
            may_ask=not unreachable and now >= talk.next_ask,
            busy=talk.errand is not None,
            expects=bool(self._expected),
            survey=talk.survey[1] if talk.survey and talk.survey[0] == talk.mark else None,
            may_move=bool(source and source.mover) and now >= talk.next_fetch,
            exhausted={uid for uid, times in talk.fetches.items() if times >= MAXIMUM_FETCHES},
        )

    def begin(self, study: Study, decision: Decision) -> None:
        """Send somebody on an errand, unless too many run already: the next look tries again."""
        source = self._sources.get(study.source_ae)
        if decision.step is Step.SURVEY:
            self._start(study, Step.SURVEY, _LOCAL, lambda: self._survey(study))
        elif source and decision.step is Step.ASK:
            talk = self._talks[study.key]
            arrived, known = talk.arrived, dict(talk.listed)
            self._start(
                study,
                Step.ASK,
                source.ae_title,
                lambda: self._ask(source, study, arrived, known),
            )
        elif source and decision.step is Step.FETCH:
            series = decision.series
            if self._start(
                study, Step.FETCH, source.ae_title, lambda: _fetch(source, study, series)
            ):
                self._talks[study.key].fetches.update(series)

    def _start(self, study: Study, step: Step, place: str, work: Callable[[], _Outcome]) -> bool:
        talk = self._talks[study.key]
        running = sum(one.place == place and one.is_alive() for one in self._errands)
        if talk.errand or running >= (ERRANDS_OF_A_SOURCE if place else SURVEYS):
            return False
        talk.errand = _Errand(step, place, talk.mark, work)
        self._errands.append(talk.errand)
        talk.errand.start()
        return True

    def _talk(self, study: Study) -> _Talk:
        """What is known of the study, brought up to date."""
        talk, mark = self._talks.get(study.key), (study.instance_count, study.last_received_at)
        if talk is None or talk.mark != mark:
            with self._database.read() as session:
                found = studies.arrived(session, study.key)
            arrived = {one.series_uid: one.instance_count for one in found}
            newest_at = max((one.newest_at for one in found), default=study.last_received_at)
            if talk is None:
                talk = _Talk(
                    began=time.monotonic(), mark=mark, arrived=arrived, newest_at=newest_at
                )
                self._talks[study.key] = talk
            else:
                talk.mark, talk.arrived, talk.newest_at = mark, arrived, newest_at
                talk.next_ask = min(talk.next_ask, time.monotonic() + self._pauses.first_ask)
        if talk.errand is not None and not talk.errand.is_alive():
            errand, talk.errand = talk.errand, None
            self._take(study, talk, errand)
        return talk

    def _take(self, study: Study, talk: _Talk, errand: _Errand) -> None:
        """What an errand has brought."""
        now = time.monotonic()
        if errand.error is not None:
            self._say(study, talk, errand)
        if errand.step is Step.SURVEY:
            found = errand.outcome if isinstance(errand.outcome, Survey) else Survey()
            talk.survey = (errand.mark, found)
        elif errand.step is Step.FETCH:
            talk.answer, talk.next_ask = None, now
            talk.next_fetch = now + self._pauses.fetch
        elif isinstance(errand.outcome, Holdings):
            self._heard(study, talk, errand.mark, errand.outcome)
        else:
            talk.answer = (errand.mark, Answer(counts=None))
            talk.next_ask = now + self._pauses.unreachable
            if isinstance(errand.error, PeerError):
                self._unreachable[errand.place] = talk.next_ask

    def _heard(self, study: Study, talk: _Talk, mark: _Mark, found: Holdings) -> None:
        if talk.counts != found.counts:
            held, came = sum(found.counts.values()), sum(talk.arrived.values())
            logger.info(
                "%s holds %d images of a study; %d are here",
                study.source_ae,
                held,
                came,
                extra={"action": "source_counted", "study": study.key, "held": held, "here": came},
            )
        same = talk.counts == found.counts and talk.answer is not None and talk.answer[0] == mark
        pause = 2 * talk.pause if same else self._pauses.first_ask
        talk.pause = min(pause, self._pauses.longest_ask)
        talk.next_ask = time.monotonic() + talk.pause
        steady = talk.counts in (None, found.counts)
        talk.answer = (mark, Answer(counts=found.counts, steady=steady))
        talk.counts = found.counts
        talk.listed.update(found.listed)

    def _say(self, study: Study, talk: _Talk, errand: _Errand) -> None:
        """Once a study; only sentences of ours, for other errors may quote what a peer sent."""
        ours = isinstance(errand.error, PeerError | StorageError)
        logger.log(
            logging.DEBUG if talk.warned else logging.WARNING,
            "Completion could not %s: %s",
            errand.step.lower(),
            errand.error if ours else type(errand.error).__name__,
            extra={"action": "completion_errand_failed", "study": study.key},
        )
        talk.warned = True

    def _ask(
        self,
        source: Source,
        study: Study,
        arrived: Mapping[SeriesUid, int],
        known: Mapping[PeerSeries, int],
    ) -> Holdings:
        with self._database.read() as session:
            ours = results.series_uids(session, study.study_uid)
        return holdings.ask(source, study.study_uid, arrived=arrived, ours=ours, known=known)

    def _survey(self, study: Study) -> Survey:
        """Missing slices of what was acquired; what software made may leave some out."""
        with self._database.read() as session:
            images = studies.instances_of(session, study.key)
        computed = {one.series_uid for one in images if one.computed}
        shapes = gaps.survey(self._store.paths_of(one.path for one in images))
        return Survey(
            faults=tuple(
                f"series {one.number or 'without number'} ({one.series_uid}): {fault}"
                for one in shapes
                if one.series_uid not in computed
                for fault in one.faults
            ),
            unmet=tuple(
                pattern
                for pattern in self._expected
                if not any(re.search(pattern, one.description, re.IGNORECASE) for one in shapes)
            ),
        )


def _fetch(source: Source, study: Study, series: Sequence[SeriesUid]) -> None:
    """One series after the other; raises what went wrong last."""
    failed: PeerError | None = None
    for uid in series:
        try:
            count = holdings.fetch(source, study.study_uid, uid)
        except PeerError as error:
            failed = error
            continue
        logger.info(
            "%s sent %d images of a series that was not complete",
            source.ae_title,
            count,
            extra={"action": "series_fetched", "study": study.key, "series_uid": uid},
        )
    if failed is not None:
        raise failed


def _seconds_since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()

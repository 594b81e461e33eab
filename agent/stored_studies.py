"""The studies a node holds, chosen by marks, scanner and time, with what the model says of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pydicom import dcmread
from sqlalchemy.orm import Session

from agent import site_studies
from agent.calibration import Refused, Scored
from agent.dicom.series import SeriesRules
from agent.errors import ConfigurationError
from agent.inference import AnomalyModel
from agent.site_studies import SiteStudy
from storage import feedback, results, studies
from storage.database import Database
from storage.files import FileStore
from storage.records import Analysis, Mark, Study

_KEYS = ("marked", "scanner", "since", "until")


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which studies: the newest mark, a part of the scanner's name, received from and before."""

    marked: Mark = Mark.NORMAL
    scanner: str = ""
    since: datetime | None = None
    until: datetime | None = None


def parse(text: str) -> Query:
    """The query in `marked=normal,scanner=Achieva,since=2026-01-01`; what is not said does not
    matter, but the mark is `normal`. Raises ConfigurationError with what can be asked."""
    given: dict[str, str] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        key, separator, value = part.partition("=")
        if not separator or key not in _KEYS or not value:
            raise ConfigurationError(
                f'"{part}" is no condition: write one or more of {", ".join(_KEYS)} with a value, '
                "such as marked=normal,since=2026-01-01."
            )
        given[key] = value
    return Query(
        marked=_mark(given.get("marked", Mark.NORMAL)),
        scanner=given.get("scanner", ""),
        since=_day(given["since"]) if "since" in given else None,
        until=_day(given["until"]) if "until" in given else None,
    )


def find(session: Session, query: Query) -> Iterator[tuple[Study, Analysis | None]]:
    """The newest revision of each study that the query means."""
    for said in feedback.marked(session, query.marked):
        study = studies.latest(session, said.study_uid)
        analysis = results.analysis_of(session, study.key)
        scanner = (analysis.scanner if analysis else None) or ""
        too_early = query.since is not None and study.first_received_at < query.since
        too_late = query.until is not None and study.first_received_at >= query.until
        if query.scanner.casefold() in scanner.casefold() and not too_early and not too_late:
            yield study, analysis


def score(
    database: Database,
    store: FileStore,
    model: AnomalyModel,
    rules: SeriesRules,
    study: Study,
    analysis: Analysis | None,
) -> Scored | Refused:
    """What the model says of a stored study: from the row where it has read it, else anew."""
    with database.read() as session:
        instances = studies.instances_of(session, study.key)
    files = tuple(store.path_of(instance.path) for instance in instances)
    patient = str(dcmread(files[0], specific_tags=["PatientID"]).get("PatientID") or study.key)
    read = analysis is not None and analysis.model_sha256 == model.description.digest
    if analysis and analysis.study_score is not None and read:
        return Scored(
            name=study.key,
            patient=patient,
            study_score=analysis.study_score,
            slice_scores=analysis.slice_scores,
        )
    return site_studies.score(SiteStudy(name=study.key, patient=patient, files=files), model, rules)


def scores_marked(session: Session, mark: Mark, model_sha256: str) -> list[float]:
    """The study scores that a model gave to studies of that mark."""
    found = find(session, Query(marked=mark))
    return [
        analysis.study_score
        for _, analysis in found
        if analysis is not None
        and analysis.study_score is not None
        and analysis.model_sha256 == model_sha256
    ]


def _mark(text: str) -> Mark:
    try:
        return Mark(text)
    except ValueError as error:
        raise ConfigurationError(f"{text} is no mark: say one of {', '.join(Mark)}.") from error


def _day(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigurationError(f"{text} is no day: write it as 2026-01-31.") from error

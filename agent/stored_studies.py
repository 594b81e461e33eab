"""The studies a node holds, chosen by marks, scanner and time, with what the model says of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from agent import examination, site_studies
from agent.calibration import Refused, Scored
from agent.dicom.series import SeriesRules
from agent.errors import AgentError, ConfigurationError
from agent.inference import AnomalyModel
from agent.model_toml import ModelDescription
from storage import feedback, results, studies
from storage.database import Database
from storage.enums import Mark
from storage.records import Analysis, Study, StudyKey
from storage.store import Store

_KEYS = ("marked", "scanner", "since", "until")
_TUMOUR_FREE = (Mark.NORMAL, Mark.FALSE_POSITIVE)
_WITH_LESION = (Mark.LESION, Mark.MISSED)


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which studies: the newest mark, a part of the scanner's name, received from and before."""

    marks: tuple[Mark, ...] = (Mark.NORMAL,)
    scanner: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class LesionScores:
    """What a model scored where something is there, and how many studies that leaves out: those
    that only another model or another version of the program read, and those that none could."""

    scores: tuple[float, ...]
    by_others: int
    not_analysed: int


def parse(text: str) -> Query:
    """The tumour-free studies in `marked=normal,scanner=Achieva,since=2026-01-01`; what is not said
    does not matter. Raises ConfigurationError with what can be asked."""
    given: dict[str, str] = {}
    marks = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        key, separator, value = part.partition("=")
        if not separator or key not in _KEYS or not value:
            raise ConfigurationError(
                f'"{part}" is no condition: write one or more of {", ".join(_KEYS)} with a value, '
                "such as marked=normal,since=2026-01-01."
            )
        given[key] = value
        if key == "marked":
            marks.append(_tumour_free(value))
    return Query(
        marks=tuple(dict.fromkeys(marks)) or _TUMOUR_FREE,
        scanner=given.get("scanner", ""),
        since=_instant(given["since"]) if "since" in given else None,
        until=_instant(given["until"]) if "until" in given else None,
    )


def find(session: Session, query: Query) -> Iterator[Study]:
    """The newest revision of each study that the query means."""
    for said in (one for mark in query.marks for one in feedback.marked(session, mark)):
        study = studies.latest(session, said.study_uid)
        analysis = results.analysis_of(session, study.key)
        scanner = (analysis.scanner if analysis else None) or ""
        too_early = query.since is not None and study.first_received_at < query.since
        too_late = query.until is not None and study.first_received_at >= query.until
        if query.scanner.casefold() in scanner.casefold() and not too_early and not too_late:
            yield study


def score(
    database: Database, store: Store, model: AnomalyModel, rules: SeriesRules, study: Study
) -> Scored | Refused:
    """What the model says of a stored study: from the row where it has read the series that would
    be chosen today, else anew."""
    with database.read() as session:
        images = studies.instances_of(session, study.key)
        said = said_by(session, study.key, model.description)
    files = store.paths_of(one.path for one in images)
    missing = sum(not file.is_file() for file in files)
    if missing:
        reason = f"{missing} of its {len(files)} images are not in the store any more."
        return Refused(name=study.key, reason=reason)
    try:
        reading = examination.read(files, rules)
        patient = str(reading.headers[0].get("PatientID") or study.key)
        if said and said.study_score is not None and said.series_uid == reading.choice.series_uid:
            return Scored(
                name=study.key,
                patient=patient,
                study_score=said.study_score,
                slice_scores=said.slice_scores,
            )
        result = examination.examine(reading, model).result
    except (AgentError, OSError) as error:
        return Refused(name=study.key, reason=str(error))
    return site_studies.answer(study.key, patient, result)


def said_by(session: Session, key: StudyKey, described: ModelDescription) -> Analysis | None:
    """What this version of the program said of a study with a model, in force or on trial.

    The model's digest covers all that it scores with; how images are put together and prepared
    belongs to the program.
    """
    wanted = described.digest, examination.CODE_VERSION
    for shadow in (False, True):
        said = results.analysis_of(session, key, shadow=shadow)
        if said is not None and (said.model_sha256, said.code_version) == wanted:
            return said
    return None


def lesion_scores(session: Session, described: ModelDescription) -> LesionScores:
    """What a model scored of the studies in which a radiologist says that something is there."""
    scores, by_others, not_analysed = [], 0, 0
    for study in find(session, Query(marks=_WITH_LESION)):
        said = said_by(session, study.key, described)
        if said is not None and said.study_score is not None:
            scores.append(said.study_score)
        elif said is None and results.analysis_of(session, study.key) is not None:
            by_others += 1
        else:
            not_analysed += 1
    return LesionScores(scores=tuple(scores), by_others=by_others, not_analysed=not_analysed)


def _tumour_free(text: str) -> Mark:
    mark = _mark(text)
    if mark not in _TUMOUR_FREE:
        raise ConfigurationError(
            f"Studies marked {mark} hold a lesion, and a threshold rests on tumour-free ones: say "
            f"marked={Mark.NORMAL} or marked={Mark.FALSE_POSITIVE}."
        )
    return mark


def _mark(text: str) -> Mark:
    try:
        return Mark(text)
    except ValueError as error:
        raise ConfigurationError(f"{text} is no mark: say one of {', '.join(Mark)}.") from error


def _instant(text: str) -> datetime:
    """A day or a time; one without a time zone is in UTC."""
    try:
        said = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{text} is no day or time: write 2026-01-31 or 2026-01-31T08:00+01:00."
        ) from error
    return said.replace(tzinfo=UTC) if said.tzinfo is None else said.astimezone(UTC)

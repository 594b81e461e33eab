"""Scores by scanner and month: which studies count, and what a watched scanner leads to."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from received import image
from storage import audit, results, studies, trends
from storage.database import Database
from storage.enums import Outcome
from storage.records import Analysis, StudyKey
from storage.trends import ScannerMonth
from verdicts import ANALYSIS

SEPTEMBER = datetime(2026, 9, 30, 12, tzinfo=UTC)
SAID = replace(ANALYSIS, scanner="Achieva 1")


def analysed(database: Database, uid: str, said: Analysis, at: datetime = SEPTEMBER) -> StudyKey:
    with database.begin() as session:
        (key,) = studies.record_instances(session, [image(study=uid, received_at=at)])
        studies.complete(session, key, evidence="test", now=at)
        results.save_analysis(session, key, replace(said, created_at=at), [])
    return key


def months(database: Database, **since: datetime) -> list[ScannerMonth]:
    with database.read() as session:
        return trends.by_scanner_and_month(
            session,
            model_sha256=SAID.model_sha256,
            threshold_version=SAID.threshold_version,
            since=since,
        )


def scores(found: Iterable[ScannerMonth]) -> list[tuple[str, str, tuple[float, ...]]]:
    return [(one.scanner, one.month, one.scores) for one in found]


def test_scores_are_grouped_by_scanner_and_month(database: Database) -> None:
    october = SEPTEMBER + timedelta(days=2)
    analysed(database, "1.1", replace(SAID, study_score=1.0, outcome=Outcome.NO_ABNORMALITY))
    analysed(database, "1.2", replace(SAID, study_score=2.0), SEPTEMBER + timedelta(hours=1))
    analysed(database, "1.3", replace(SAID, study_score=3.0), october)
    analysed(database, "1.4", replace(SAID, study_score=4.0, scanner=None))
    found = months(database)
    assert scores(found) == [
        ("", "2026-09", (4.0,)),
        ("Achieva 1", "2026-09", (1.0, 2.0)),
        ("Achieva 1", "2026-10", (3.0,)),
    ]
    assert [one.abnormal for one in found] == [1, 1, 1]


def test_what_was_not_scored_or_otherwise_does_not_count(database: Database) -> None:
    analysed(database, "1.1", replace(SAID, study_score=None, outcome=Outcome.NOT_ANALYSED))
    analysed(database, "1.2", replace(SAID, threshold_version="before"))
    analysed(database, "1.3", replace(SAID, model_sha256="another"))
    assert months(database) == []


def test_only_the_newest_revision_counts(database: Database) -> None:
    analysed(database, "1.1", replace(SAID, study_score=1.0))
    later = SEPTEMBER + timedelta(days=40)
    with database.begin() as session:
        changed = image(study="1.1", content="changed", received_at=later)
        (again,) = studies.record_instances(session, [changed])
        studies.complete(session, again, evidence="test", now=later)
    assert months(database) == []
    with database.begin() as session:
        results.save_analysis(session, again, replace(SAID, study_score=9.0), [])
    assert [one.scores for one in months(database)] == [(9.0,)]


def test_a_released_scanner_is_counted_anew(database: Database) -> None:
    analysed(database, "1.1", replace(SAID, study_score=1.0, scanner="A"))
    analysed(database, "1.2", replace(SAID, study_score=2.0, scanner="B"))
    later = SEPTEMBER + timedelta(minutes=1)
    analysed(database, "1.3", replace(SAID, study_score=3.0, scanner="A"), later)
    with database.begin() as session:
        audit.append(session, who="ada", action="released", subject="A", now=SEPTEMBER)
        audit.append(session, who="ada", action="another", subject="B", now=SEPTEMBER)
        released = audit.newest(session, "released")
    assert released == {"A": SEPTEMBER}
    assert [one.scores for one in months(database, **released)] == [(3.0,), (2.0,)]

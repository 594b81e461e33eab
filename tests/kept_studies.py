"""Studies in a database, brought to the state that a test needs."""

import itertools
from datetime import timedelta

from received import NOW, UID, images
from storage import studies
from storage.database import Database
from storage.enums import StudyState
from storage.records import Instance, SeriesUid, Study, StudyKey

FIRST, SECOND = StudyKey(f"{UID}#1"), StudyKey(f"{UID}#2")
LATER = NOW + timedelta(minutes=5)
RESULT = SeriesUid("1.2.826.0.1.999")  # of another program
WORK = (
    StudyState.COMPLETE,
    StudyState.ANALYSING,
    StudyState.COMPOSED,
    StudyState.DELIVERING,
    StudyState.DELIVERED,
)


def record(database: Database, *instances: Instance) -> frozenset[StudyKey]:
    with database.begin() as session:
        return studies.record_instances(session, instances)


def complete(database: Database, key: StudyKey = FIRST) -> Study:
    with database.begin() as session:
        return studies.complete(session, key, evidence="quiet for 10 s", now=NOW)


def bring_to(database: Database, state: StudyState, key: StudyKey = FIRST) -> Study:
    """A study in `state`, by the allowed way."""
    record(database, *images(2, study=key.partition("#")[0]))
    way = list(itertools.takewhile(lambda step: step is not state, WORK))
    if state in (StudyState.FAILED, StudyState.CANCELLED):
        way = [StudyState.COMPLETE]
    if state is StudyState.NOT_ANALYSED:
        way = list(WORK[:-1])
    with database.begin() as session:
        if state is not StudyState.RECEIVING:
            studies.complete(session, key, evidence="quiet for 10 s", now=NOW)
            for step in [*way, state]:
                studies.advance(session, key, step, now=NOW)
        return studies.get(session, key)


def get(database: Database, key: StudyKey = FIRST) -> Study:
    with database.read() as session:
        return studies.get(session, key)


def inputs(database: Database, key: StudyKey = FIRST) -> tuple[Instance, ...]:
    with database.read() as session:
        return studies.instances_of(session, key)

"""Studies, one row a revision: what was received, where the work stands, what was decided."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from storage import feedback, rows, tables
from storage.enums import TERMINAL_STATES, Mark, Priority, StudyState
from storage.errors import Conflict, NotFound
from storage.intake import (
    FIRST_REVISION,
    arrived,
    images_removed_at,
    instances_of,
    record_instances,
    recorded_paths,
    removed_paths,
)
from storage.records import SeriesDecision, Study, StudyKey, StudyUid

__all__ = [
    "advance",
    "arrived",
    "cancel",
    "complete",
    "find",
    "get",
    "images_removed_at",
    "instances_of",
    "latest",
    "list_studies",
    "open_again",
    "receiving",
    "record_instances",
    "recorded_paths",
    "removed_paths",
    "retry",
    "save_series_decisions",
    "series_decisions",
    "unfinished",
]

_S = StudyState

# RECEIVING ──complete──> COMPLETE ─> ANALYSING ─> COMPOSED ─> DELIVERING ─┬─> DELIVERED
#                                                                          └─> NOT_ANALYSED
# Every state on the way may end in FAILED or CANCELLED; `retry` leads back to COMPLETE.
_NEXT: dict[StudyState, frozenset[StudyState]] = {
    _S.RECEIVING: frozenset({_S.FAILED, _S.CANCELLED}),
    _S.COMPLETE: frozenset({_S.ANALYSING, _S.FAILED, _S.CANCELLED}),
    _S.ANALYSING: frozenset({_S.COMPOSED, _S.FAILED, _S.CANCELLED}),
    _S.COMPOSED: frozenset({_S.DELIVERING, _S.FAILED, _S.CANCELLED}),
    _S.DELIVERING: frozenset({_S.DELIVERED, _S.NOT_ANALYSED, _S.FAILED, _S.CANCELLED}),
} | dict.fromkeys(TERMINAL_STATES, frozenset())

_UNFINISHED = frozenset(_NEXT) - TERMINAL_STATES - {_S.RECEIVING}


def get(session: Session, key: StudyKey, *, lock: bool = False) -> Study:
    """The revision that a key names; with `lock` nobody else changes it in this transaction."""
    return rows.study(session, key, lock=lock)


def latest(session: Session, study_uid: StudyUid) -> Study:
    """The newest revision of a study."""
    column = tables.study.c.revision
    of_study = select(column).where(tables.study.c.study_uid == study_uid)
    revision = session.scalars(of_study.order_by(column.desc()).limit(1)).one_or_none()
    if revision is None:
        raise NotFound(f"There is no study {study_uid}.")
    return get(session, StudyKey(f"{study_uid}#{revision}"))


def find(session: Session, text: str) -> Study:
    """The study a person means: a UID or one end of it, with `#<revision>` or the newest."""
    wanted, mark, revision = text.strip().partition("#")
    if not wanted:
        raise NotFound("Name a study: its UID, the beginning or the end of it.")
    study_uid = _unique_uid(session, wanted)
    return get(session, StudyKey(f"{study_uid}#{revision}")) if mark else latest(session, study_uid)


def list_studies(
    session: Session,
    *,
    states: Collection[StudyState] | None = None,
    mark: Mark | None = None,
    limit: int = 100,
    older_than: Study | None = None,
    newer_than: Study | None = None,
) -> list[Study]:
    """Revisions, newest first; with a mark those of studies that bear it.

    A page is named by the study that it begins after: `older_than` gives those that follow it in
    the list, `newer_than` those that stand right before it.
    """
    columns = tables.study.c
    place = (columns.first_received_at, columns.study_uid, columns.revision)
    turned = newer_than is not None
    order = [column.asc() if turned else column.desc() for column in place]
    statement = select(tables.study).order_by(*order).limit(limit)
    if older_than is not None:
        statement = statement.where(rows.before(place, _place(older_than)))
    if newer_than is not None:
        statement = statement.where(rows.after(place, _place(newer_than)))
    if states is not None:
        statement = statement.where(columns.state.in_(states))
    if mark is not None:
        statement = statement.where(columns.study_uid.in_(feedback.uids_marked(mark)))
    found = [Study(**row._asdict()) for row in session.execute(statement)]
    return found[::-1] if turned else found


def receiving(session: Session) -> list[Study]:
    """The revisions that may still grow, the quietest first."""
    return _in_states(session, {_S.RECEIVING}, tables.study.c.last_received_at)


def unfinished(session: Session) -> list[Study]:
    """The revisions that are complete and have not ended, in the order of their work."""
    urgency = case((tables.study.c.priority == Priority.STAT, 0), else_=1)
    return _in_states(session, _UNFINISHED, urgency, tables.study.c.completed_at)


def complete(
    session: Session,
    key: StudyKey,
    *,
    evidence: str,
    now: datetime,
    instance_count: int | None = None,
) -> Study:
    """Close a revision to further images, naming what says that all are here.

    Conflict where it was closed before, or holds another number of images than that is about.
    """
    study = rows.study(session, key, lock=True)
    if study.state is not _S.RECEIVING:
        raise Conflict(f"Study {key} is {study.state} and was completed before.")
    if instance_count not in (None, study.instance_count):
        raise Conflict(f"Study {key} has received another image meanwhile.")
    removed_at = session.scalar(
        select(func.max(tables.instance.c.removed_at)).where(
            tables.instance.c.study_uid == study.study_uid
        )
    )
    if removed_at is not None:
        evidence += (
            f" The images that came before {removed_at:%Y-%m-%d} had been removed by retention and "
            "are no part of it."
        )
    return _change(session, key, state=_S.COMPLETE, completed_at=now, completion_evidence=evidence)


def advance(
    session: Session, key: StudyKey, state: StudyState, *, now: datetime, error: str | None = None
) -> Study:
    """Take a revision to its next state. Naming the state it is in changes nothing."""
    study = rows.study(session, key, lock=True)
    if study.state is state:
        return study
    if state not in _NEXT[study.state]:
        raise Conflict(f"Study {key} is {study.state} and cannot become {state} from there.")
    finished_at = now if state in TERMINAL_STATES else None
    return _change(session, key, state=state, finished_at=finished_at, error=error)


def retry(session: Session, key: StudyKey, *, now: datetime) -> Study:
    """Start the work on a revision anew, whether it ended or is stuck."""
    study = rows.study(session, key, lock=True)
    if study.state is _S.RECEIVING:
        raise Conflict(f"Study {key} is still receiving images; its work has not begun.")
    _need_images(session, key)
    return _change(
        session,
        key,
        state=_S.COMPLETE,
        attempt=study.attempt + 1,
        # A study cancelled while receiving has neither.
        completed_at=study.completed_at or now,
        completion_evidence=study.completion_evidence or "completed by a retry",
        finished_at=None,
        error=None,
    )


def open_again(
    session: Session, study_uid: StudyUid, *, now: datetime, model_folder: str | None = None
) -> Study:
    """A new revision over the images of the newest one, complete from the start.

    The named model reads it instead of the configured one. Conflict while images still come or
    the newest revision is being worked on.
    """
    latest(session, study_uid)  # says so where there is no such study
    # Who holds the first revision may open others (see storage.intake).
    rows.study(session, StudyKey(f"{study_uid}#{FIRST_REVISION}"), lock=True)
    newest = rows.study(session, latest(session, study_uid).key, lock=True)
    if newest.state not in TERMINAL_STATES:
        raise Conflict(
            f"Study {newest.key} is {newest.state}; wait until it has ended, or cancel it first."
        )
    _need_images(session, newest.key)
    again = replace(
        newest,
        revision=newest.revision + 1,
        state=_S.COMPLETE,
        attempt=1,
        completed_at=now,
        completion_evidence=f"Read again on request, with the {newest.instance_count} images of "
        f"revision {newest.revision}. {newest.completion_evidence or ''}".strip(),
        finished_at=None,
        error=None,
        model_folder=model_folder,
    )
    session.execute(insert(tables.study).values(asdict(again)))
    return again


def cancel(session: Session, key: StudyKey, *, now: datetime, why: str) -> Study:
    """Stop a revision that has not ended yet."""
    return advance(session, key, _S.CANCELLED, now=now, error=why)


def save_series_decisions(
    session: Session, key: StudyKey, decisions: Sequence[SeriesDecision]
) -> None:
    """Keep which series of a revision was read and why, in place of what was kept before."""
    study = rows.study(session, key, lock=True)
    session.execute(delete(tables.series_decision).where(_decided(key)))
    owner = {"study_uid": study.study_uid, "revision": study.revision}
    values = [asdict(item) | owner | {"position": n} for n, item in enumerate(decisions)]
    if values:
        session.execute(insert(tables.series_decision), values)


def series_decisions(session: Session, key: StudyKey) -> tuple[SeriesDecision, ...]:
    """What was decided about the series of a revision, in the order it was saved."""
    table = tables.series_decision
    statement = select(*rows.columns(table, SeriesDecision)).where(_decided(key))
    found = session.execute(statement.order_by(table.c.position))
    return tuple(SeriesDecision(**row._asdict()) for row in found)


def _place(study: Study) -> tuple[datetime, str, int]:
    """Where a study stands in lists."""
    return study.first_received_at, study.study_uid, study.revision


def _decided(key: StudyKey) -> ColumnElement[bool]:
    return rows.of_revision(tables.series_decision, key)


def _in_states(
    session: Session, states: Collection[StudyState], *order: ColumnElement[Any]
) -> list[Study]:
    table = tables.study
    statement = select(table).where(table.c.state.in_(states))
    found = session.execute(statement.order_by(*order, table.c.study_uid, table.c.revision))
    return [Study(**row._asdict()) for row in found]


def _change(session: Session, key: StudyKey, **values: Any) -> Study:
    session.execute(
        update(tables.study).where(rows.of_revision(tables.study, key)).values(**values)
    )
    return rows.study(session, key)


def _need_images(session: Session, key: StudyKey) -> None:
    """Raise Conflict where images of a revision are not here any more."""
    removed_at = images_removed_at(session, key)
    if removed_at is not None:
        raise Conflict(
            f"The images of {key} were removed by retention on {removed_at:%Y-%m-%d}; send the "
            "study again to have it read."
        )


def _unique_uid(session: Session, wanted: str) -> StudyUid:
    column = tables.study.c.study_uid
    if session.scalar(select(column).where(column == wanted).limit(1)) is not None:
        return StudyUid(wanted)
    # Looks at every UID: some 20 ms over 100,000 studies.
    ends = or_(column.startswith(wanted, autoescape=True), column.endswith(wanted, autoescape=True))
    found = session.scalars(select(column).where(ends).distinct().limit(2)).all()
    if not found:
        raise NotFound(f"No study UID begins or ends with {wanted!r}.")
    if len(found) > 1:
        raise Conflict(f"More than one study UID begins or ends with {wanted!r}; give more of it.")
    return StudyUid(found[0])

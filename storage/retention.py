"""Which files may go: those of studies whose results have arrived. Rows are never removed.

A study qualifies when its newest revision has ended with a result or with the reason why there is
none, when that was planned for at least one destination, and when each of these has proven that it
holds everything; by the site's word also where no proof was to be had. A failed or cancelled study
stays until a person acts.

The images of a study belong to no revision after the one that was the newest: should more come,
they make a new beginning.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, Table, func, select, update
from sqlalchemy.orm import Session

from storage import results, rows, tables
from storage.enums import DeliveryState, StudyState
from storage.intake import FIRST_REVISION
from storage.records import Delivery, Study, StudyKey, StudyUid

_ENDED_WELL = (StudyState.DELIVERED, StudyState.NOT_ANALYSED)
_PAGE = 100  # studies
_instance, _object = tables.instance, tables.result_object


def finished(
    session: Session, *, before: datetime | None = None, without_proof: bool = False
) -> Iterator[Study]:
    """The newest revisions of the studies of which files may go, the longest finished first."""
    for study in _ended_well(session, before):
        deliveries = results.deliveries_of(session, study.key)
        if deliveries and all(_may_forget(one, without_proof) for one in deliveries):
            yield study


def _ended_well(session: Session, before: datetime | None) -> Iterator[Study]:
    """The studies that still have files, a page at a time."""
    table = tables.study
    place = (table.c.finished_at, table.c.study_uid)
    statement = select(table).where(table.c.state.in_(_ENDED_WELL), rows.is_newest())
    if before is not None:
        statement = statement.where(table.c.finished_at < before)
    statement = page = statement.order_by(*place).limit(_PAGE)
    while found := session.execute(page).all():
        holding = _holding(session, [row.study_uid for row in found])
        yield from (Study(**row._asdict()) for row in found if row.study_uid in holding)
        last = found[-1]
        page = statement.where(rows.after(place, (last.finished_at, last.study_uid)))


def _holding(session: Session, study_uids: Sequence[StudyUid]) -> frozenset[StudyUid]:
    """Those of which a file is here. Apart from what asks, so that indexes are used."""
    column = tables.study.c.study_uid
    here = _held(_instance) | _held(_object)
    return frozenset(session.scalars(select(column).where(column.in_(study_uids), here)))


def take_images(session: Session, study: Study, *, now: datetime) -> bool:
    """Note that the images of a study are removed; False where it no longer qualifies or has none.

    Their files may go once this is committed.
    """
    if not _still_qualifies(session, study):
        return False
    changed = session.connection().execute(
        update(_instance)
        .where(_instance.c.study_uid == study.study_uid, _instance.c.removed_at.is_(None))
        .values(
            removed_at=now,
            superseded_in=func.coalesce(_instance.c.superseded_in, study.revision + 1),
        )
    )
    return bool(changed.rowcount)


def take_results(session: Session, study: Study, *, now: datetime) -> bool:
    """Note that the results of all revisions of a study are removed; as `take_images`."""
    if not _still_qualifies(session, study):
        return False
    changed = session.connection().execute(
        update(_object)
        .where(_object.c.study_uid == study.study_uid, _object.c.removed_at.is_(None))
        .values(removed_at=now)
    )
    return bool(changed.rowcount)


def paths_here(session: Session, study_uid: StudyUid) -> frozenset[str]:
    """The files of images that are not removed."""
    here = _paths(study_uid).where(_instance.c.removed_at.is_(None))
    return frozenset(str(path) for path in session.scalars(here))


def paths_removed(session: Session, study_uid: StudyUid) -> frozenset[str]:
    """The files of images that were removed and have not come again."""
    known = frozenset(str(path) for path in session.scalars(_paths(study_uid)))
    return known - paths_here(session, study_uid)


def files_named(session: Session) -> frozenset[str]:
    """Every file that a row names and that was not removed."""
    return frozenset(
        str(path)
        for table in (_instance, _object)
        for path in session.scalars(select(table.c.path).where(table.c.removed_at.is_(None)))
    )


def has_results(session: Session, study_uid: StudyUid) -> bool:
    """Whether results of a study are not removed."""
    here = select(_object.c.sop_uid).where(
        _object.c.study_uid == study_uid, _object.c.removed_at.is_(None)
    )
    return session.scalar(here.limit(1)) is not None


def studies_removed(session: Session, *, since: datetime | None = None) -> tuple[StudyUid, ...]:
    """The studies whose images were removed from a moment on, or at some time."""
    removed_at = _instance.c.removed_at
    statement = select(_instance.c.study_uid).where(removed_at.is_not(None)).distinct()
    if since is not None:
        statement = statement.where(removed_at >= since)
    return tuple(StudyUid(one) for one in session.scalars(statement))


def results_removed_at(session: Session, key: StudyKey) -> datetime | None:
    """When the results of a revision were removed; None where they are here."""
    newest = select(func.max(_object.c.removed_at)).where(rows.of_revision(_object, key))
    found: datetime | None = session.scalar(newest)
    return found


def _paths(study_uid: StudyUid) -> Select[tuple[str]]:
    return select(_instance.c.path).where(_instance.c.study_uid == study_uid)


def _held(table: Table) -> ColumnElement[bool]:
    return (
        select(table.c.study_uid)
        .where(table.c.study_uid == tables.study.c.study_uid, table.c.removed_at.is_(None))
        .exists()
    )


def _may_forget(delivery: Delivery, without_proof: bool) -> bool:
    """The one place that says when a destination has an object for good."""
    return delivery.is_done if without_proof else delivery.state is DeliveryState.COMMITTED


def _still_qualifies(session: Session, study: Study) -> bool:
    """Look again, with the study locked: no image of it is recorded before the caller is done."""
    rows.study(session, StudyKey(f"{study.study_uid}#{FIRST_REVISION}"), lock=True)
    again = session.execute(
        select(tables.study).where(tables.study.c.study_uid == study.study_uid, rows.is_newest())
    ).one()
    return again.state in _ENDED_WELL and again.revision == study.revision

"""What came out of a revision: the analysis, its lesions, the result objects, their deliveries."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from storage import rows, tables
from storage.enums import DeliveryState, Role
from storage.errors import Conflict, NotFound
from storage.records import Delivery, ResultObject, SeriesUid, SopUid, Study, StudyKey, StudyUid
from storage.verdicts import analysis_of, lesions_of, save_analysis

__all__ = [
    "analysis_of",
    "deliveries_of",
    "is_our_object",
    "lesions_of",
    "objects_of",
    "plan_deliveries",
    "record_delivery",
    "replaced_by",
    "save_analysis",
    "save_objects",
    "series_uids",
]


def save_objects(session: Session, key: StudyKey, objects: Sequence[ResultObject]) -> None:
    """Make these the result objects of a revision.

    Those of an earlier attempt go, unless a delivery was tried: a destination may hold them, even
    where the answer was lost, so they stay known as ours. Conflict when bytes that may have left
    the node would change under the same UID.
    """
    study = rows.study(session, key, lock=True)
    uids = [item.sop_uid for item in objects]
    _refuse_changed(session, key, objects)
    table = tables.result_object
    session.execute(
        delete(table).where(
            rows.of_revision(table, key), ~table.c.sop_uid.in_(uids), ~exists().where(*_tried())
        )
    )
    session.execute(update(table).where(rows.of_revision(table, key)).values(current=False))
    values = [
        asdict(item) | _owner(study) | {"current": True, "position": position}
        for position, item in enumerate(objects)
    ]
    rows.insert_missing(session, table, values)
    for row in values:
        session.execute(update(table).where(table.c.sop_uid == row["sop_uid"]).values(row))
    _forget_untried(session, key)


def objects_of(session: Session, key: StudyKey) -> tuple[ResultObject, ...]:
    """The result objects of the newest attempt on a revision, in the order they were saved."""
    table = tables.result_object
    statement = select(*rows.columns(table, ResultObject)).where(
        rows.of_revision(table, key), table.c.current
    )
    found = session.execute(statement.order_by(table.c.position))
    return tuple(ResultObject(**row._asdict()) for row in found)


def is_our_object(session: Session, sop_uid: str) -> bool:
    """Whether this node made the object, in whichever attempt: it must not be taken in again."""
    column = tables.result_object.c.sop_uid
    return session.scalar(select(column).where(column == sop_uid)) is not None


def series_uids(session: Session, study_uid: StudyUid) -> frozenset[SeriesUid]:
    """The series in which results of a study were ever made."""
    table = tables.result_object
    found = session.scalars(select(table.c.series_uid).where(table.c.study_uid == study_uid))
    return frozenset(map(SeriesUid, found))


def replaced_by(
    session: Session,
    key: StudyKey,
    *,
    report_uid: SopUid,
    profile: str,
    destinations: Collection[str],
) -> tuple[ResultObject, ...]:
    """The older result that stands where the one of `report_uid` will go, its report first.

    That is the newest one which one of the destinations was sent, of an earlier revision or of an
    earlier attempt on this one; without a destination the newest of the same profile.
    """
    study_uid, revision = rows.split(key)
    table, delivery = tables.result_object, tables.delivery
    sent = exists().where(delivery.c.destination.in_(destinations), *_tried())
    stands = sent if destinations else table.c.profile == profile
    reports = (
        select(table)
        .where(
            table.c.study_uid == study_uid,
            table.c.revision <= revision,
            table.c.role == Role.REPORT,
            table.c.sop_uid != report_uid,
            stands,
        )
        .order_by(table.c.revision.desc(), table.c.current.desc())
    )
    report = session.execute(reports.limit(1)).one_or_none()
    if report is None:
        return ()
    others = select(*rows.columns(table, ResultObject)).where(
        table.c.study_uid == study_uid,
        table.c.revision == report.revision,
        table.c.current == report.current,
        table.c.profile == report.profile,
    )
    found = session.execute(others.order_by(table.c.role != Role.REPORT, table.c.position))
    return tuple(ResultObject(**row._asdict()) for row in found)


def plan_deliveries(
    session: Session, key: StudyKey, profiles: Mapping[str, str], *, now: datetime
) -> None:
    """Note which result objects are to go to each destination; what is noted already stays.

    `profiles` names the profile of each destination: it gets the objects built for that one.
    """
    rows.study(session, key, lock=True)
    values = [
        {
            "sop_uid": item.sop_uid,
            "destination": destination,
            "state": DeliveryState.PENDING,
            "attempts": 0,
            "updated_at": now,
        }
        for item in objects_of(session, key)
        for destination, profile in profiles.items()
        if item.profile == profile
    ]
    rows.insert_missing(session, tables.delivery, values)


def deliveries_of(session: Session, key: StudyKey) -> tuple[Delivery, ...]:
    """The deliveries of the current result objects, destination by destination."""
    objects, table = tables.result_object, tables.delivery
    statement = (
        select(*rows.columns(table, Delivery))
        .join(objects, objects.c.sop_uid == table.c.sop_uid)
        .where(rows.of_revision(objects, key), objects.c.current)
    )
    found = session.execute(statement.order_by(table.c.destination, objects.c.position))
    return tuple(Delivery(**row._asdict()) for row in found)


def record_delivery(
    session: Session,
    *,
    sop_uid: SopUid,
    destination: str,
    state: DeliveryState,
    status: int | None,
    error: str | None,
    now: datetime,
) -> None:
    """Note how one more attempt to deliver an object went."""
    table = tables.delivery
    planned = (table.c.sop_uid == sop_uid, table.c.destination == destination)
    if session.scalar(select(table.c.attempts).where(*planned)) is None:
        raise NotFound(f"No delivery of {sop_uid} to {destination} was planned.")
    session.execute(
        update(table)
        .where(*planned)
        .values(
            state=state,
            attempts=table.c.attempts + 1,
            status=status,
            error=error,
            updated_at=now,
            proof=None,
            transaction_uid=None,
        )
    )


def _owner(study: Study) -> dict[str, Any]:
    return {"study_uid": study.study_uid, "revision": study.revision}


def _tried() -> Collection[Any]:
    """A delivery of the object in the enclosing statement was tried."""
    return (
        tables.delivery.c.sop_uid == tables.result_object.c.sop_uid,
        tables.delivery.c.attempts > 0,
    )


def _refuse_changed(session: Session, key: StudyKey, objects: Sequence[ResultObject]) -> None:
    table = tables.result_object
    wanted = {item.sop_uid: item.sha256 for item in objects}
    found = session.execute(
        select(table, exists().where(*_tried()).label("tried")).where(table.c.sop_uid.in_(wanted))
    )
    for row in found:
        if (row.study_uid, row.revision) != rows.split(key):
            raise Conflict(
                f"Object {row.sop_uid} belongs to study {row.study_uid}#{row.revision}; "
                "a UID is used once."
            )
        if row.tried and row.sha256 != wanted[row.sop_uid]:
            raise Conflict(
                f"Object {row.sop_uid} was sent with other bytes; give the new one a new UID."
            )


def _forget_untried(session: Session, key: StudyKey) -> None:
    """Drop the plans for objects that are no longer current."""
    objects = tables.result_object
    outdated = select(objects.c.sop_uid).where(rows.of_revision(objects, key), ~objects.c.current)
    session.execute(
        delete(tables.delivery).where(
            tables.delivery.c.attempts == 0, tables.delivery.c.sop_uid.in_(outdated)
        )
    )

"""Takes received images into a study's newest revision, or opens the next one for them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update
from sqlalchemy.orm import Session

from storage import rows, tables
from storage.enums import Priority, StudyState
from storage.records import Instance, SeriesArrived, SopUid, Study, StudyKey, StudyUid

FIRST_REVISION = 1


@dataclass(frozen=True, kw_only=True)
class _News:
    """What is new in a batch: rows to insert, images they replace, images not seen before."""

    rows: list[dict[str, Any]]
    superseded: list[SopUid]
    added_count: int


def record_instances(session: Session, instances: Sequence[Instance]) -> frozenset[StudyKey]:
    """Record received images whose files are durable; the revisions that receive because of them.

    An image that is here already with the same content changes nothing, except that a study
    still receiving counts it as a sign of life. Computed images of a new series that come late join
    the newest revision without opening another: two programs that answer each other's results
    would otherwise never end. Studies are taken in the order of their UIDs, so
    that two listeners with overlapping batches wait for each other instead of locking up.
    """
    by_study: dict[StudyUid, list[Instance]] = defaultdict(list)
    for instance in instances:
        by_study[instance.study_uid].append(instance)
    keys = [_record(session, by_study[study_uid]) for study_uid in sorted(by_study)]
    return frozenset(key for key in keys if key is not None)


def instances_of(session: Session, key: StudyKey) -> tuple[Instance, ...]:
    """The inputs of a revision: what was received up to it and not superseded by then."""
    rows.study(session, key)
    found = session.execute(select(*rows.columns(tables.instance, Instance)).where(_is_input(key)))
    # Sorted here: databases differ in how they collate text, and digests depend on the order.
    return tuple(sorted((Instance(**row._asdict()) for row in found), key=lambda i: i.sop_uid))


def arrived(session: Session, key: StudyKey) -> tuple[SeriesArrived, ...]:
    """The series of a revision's inputs; an image that came again does not count as newest."""
    columns = tables.instance.c
    found = session.execute(
        select(
            columns.series_uid,
            func.count().label("instance_count"),
            func.max(columns.received_at).label("newest_at"),
        )
        .where(_is_input(key))
        .group_by(columns.series_uid)
    )
    return tuple(SeriesArrived(**row._asdict()) for row in found)


def images_removed_at(session: Session, key: StudyKey) -> datetime | None:
    """When retention removed the files of a revision's inputs; None while they are here."""
    newest = select(func.max(tables.instance.c.removed_at)).where(_is_input(key))
    found: datetime | None = session.scalar(newest)
    return found


def recorded_paths(session: Session, paths: Sequence[str]) -> frozenset[str]:
    """Which of these files have a row; the others were lost in a crash and are to be recorded.

    The row of an image that retention removed is none: a file of that name came later.
    """
    table = tables.instance
    return frozenset(
        path
        for chunk in rows.chunks(paths)
        for path in session.scalars(
            select(table.c.path)
            .where(table.c.path.in_(chunk), table.c.removed_at.is_(None))
            .distinct()
        )
    )


def removed_paths(session: Session, paths: Sequence[str]) -> dict[str, datetime]:
    """When retention removed these files; others are left out."""
    table = tables.instance
    return {
        path: removed_at
        for chunk in rows.chunks(paths)
        for path, removed_at in session.execute(
            select(table.c.path, func.max(table.c.removed_at))
            .where(table.c.path.in_(chunk), table.c.removed_at.is_not(None))
            .group_by(table.c.path)
        )
    }


def _is_input(key: StudyKey) -> ColumnElement[bool]:
    study_uid, revision = rows.split(key)
    table = tables.instance
    return and_(
        table.c.study_uid == study_uid,
        table.c.revision <= revision,
        or_(table.c.superseded_in.is_(None), table.c.superseded_in > revision),
    )


def _record(session: Session, arrived: Sequence[Instance]) -> StudyKey | None:
    newest = _lock_newest(session, arrived)
    receiving = newest.state is StudyState.RECEIVING
    revision = newest.revision if receiving else newest.revision + 1
    known = _current_contents(session, arrived)
    news = _news(known, arrived, revision)
    if not receiving:
        if not news.rows:
            return None
        if not _opens(session, newest, news):
            _join_closed(session, newest, _news(known, arrived, newest.revision))
            return None
        newest = _open_next(session, newest, arrived)
    _write(session, newest, news)
    _touch(session, newest, arrived, news.added_count)
    return newest.key


def _opens(session: Session, newest: Study, news: _News) -> bool:
    """Whether the images are worth a new revision: acquired ones, or more of what was read."""
    if any(not row["computed"] for row in news.rows):
        return True
    table = tables.instance
    closed_at = newest.completed_at or newest.finished_at
    was_read = select(table.c.id).where(
        table.c.study_uid == newest.study_uid,
        table.c.series_uid.in_({row["series_uid"] for row in news.rows}),
        table.c.received_at <= closed_at,  # what joined later was not
    )
    return session.scalars(was_read.limit(1)).first() is not None


def _join_closed(session: Session, newest: Study, news: _News) -> None:
    """Keep late computed images with a revision that is closed; what it read does not change."""
    replacing = [row for row in news.rows if row["sop_uid"] in news.superseded]
    for row in replacing:  # the content that was read stays the valid one
        row["superseded_in"] = newest.revision
    session.execute(insert(tables.instance), news.rows)


def _lock_newest(session: Session, arrived: Sequence[Instance]) -> Study:
    """The newest revision, made where there is none, with the study locked against others.

    The row of the first revision stands for the whole study: who holds its lock may open
    revisions. The newest row is locked as well, so that nobody completes it meanwhile.
    """
    first = _receiving(arrived)
    rows.insert_missing(session, tables.study, [asdict(first)])
    rows.study(session, first.key, lock=True)
    table = tables.study
    revision = session.scalars(
        select(table.c.revision)
        .where(table.c.study_uid == first.study_uid)
        .order_by(table.c.revision.desc())
        .limit(1)
    ).one()
    return rows.study(session, StudyKey(f"{first.study_uid}#{revision}"), lock=True)


def _receiving(arrived: Sequence[Instance]) -> Study:
    """A first revision, still empty."""
    return Study(
        study_uid=arrived[0].study_uid,
        revision=FIRST_REVISION,
        state=StudyState.RECEIVING,
        priority=Priority.ROUTINE,
        attempt=1,
        source_ae=arrived[0].source_ae,
        instance_count=0,
        first_received_at=_earliest(arrived),
        last_received_at=_earliest(arrived),
        completed_at=None,
        completion_evidence=None,
        finished_at=None,
        error=None,
    )


def _open_next(session: Session, newest: Study, arrived: Sequence[Instance]) -> Study:
    """The revision after `newest`: it starts with the images and the urgency of that one.

    Where retention has removed these there are none to start with.
    """
    table = tables.instance
    here = select(table.c.id).where(
        table.c.study_uid == newest.study_uid, table.c.superseded_in.is_(None)
    )
    begins_anew = session.scalars(here.limit(1)).first() is None
    following = replace(
        _receiving(arrived),
        revision=newest.revision + 1,
        priority=newest.priority,
        instance_count=0 if begins_anew else newest.instance_count,
    )
    session.execute(insert(tables.study).values(asdict(following)))
    return following


def _current_contents(session: Session, arrived: Sequence[Instance]) -> dict[SopUid, str]:
    table = tables.instance
    contents: dict[SopUid, str] = {}
    for chunk in rows.chunks(sorted({instance.sop_uid for instance in arrived})):
        found = session.execute(
            select(table.c.sop_uid, table.c.content_sha256).where(
                table.c.study_uid == arrived[0].study_uid,
                table.c.sop_uid.in_(chunk),
                table.c.superseded_in.is_(None),
            )
        )
        contents.update((sop_uid, content) for sop_uid, content in found)
    return contents


def _news(known: dict[SopUid, str], arrived: Sequence[Instance], revision: int) -> _News:
    """The images that are new or changed. Of two contents in one batch the later one holds."""
    contents = dict(known)
    newest: dict[SopUid, dict[str, Any]] = {}
    rows_to_insert = []
    for instance in arrived:
        if contents.get(instance.sop_uid) == instance.content_sha256:
            continue
        if instance.sop_uid in newest:
            newest[instance.sop_uid]["superseded_in"] = revision
        row = asdict(instance) | {"revision": revision, "superseded_in": None}
        contents[instance.sop_uid] = instance.content_sha256
        newest[instance.sop_uid] = row
        rows_to_insert.append(row)
    return _News(
        rows=rows_to_insert,
        superseded=sorted(newest.keys() & known.keys()),
        added_count=len(newest.keys() - known.keys()),
    )


def _write(session: Session, study: Study, news: _News) -> None:
    table = tables.instance
    for chunk in rows.chunks(news.superseded):
        session.execute(
            update(table)
            .where(
                table.c.study_uid == study.study_uid,
                table.c.sop_uid.in_(chunk),
                table.c.superseded_in.is_(None),
            )
            .values(superseded_in=study.revision)
        )
    if news.rows:
        session.execute(insert(table), news.rows)


def _touch(session: Session, study: Study, arrived: Sequence[Instance], added_count: int) -> None:
    urgent = any(instance.priority is Priority.STAT for instance in arrived)
    latest = max(instance.received_at for instance in arrived)
    session.execute(
        update(tables.study)
        .where(rows.of_revision(tables.study, study.key))
        .values(
            priority=Priority.STAT if urgent else study.priority,
            instance_count=study.instance_count + added_count,
            first_received_at=min(study.first_received_at, _earliest(arrived)),
            last_received_at=max(study.last_received_at, latest),
        )
    )


def _earliest(arrived: Sequence[Instance]) -> datetime:
    return min(instance.received_at for instance in arrived)

"""Between frozen values and rows: keys, columns, locks and inserts that may repeat."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Table, Tuple, and_, literal, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from storage import tables
from storage.errors import NotFound
from storage.records import Study, StudyKey, StudyUid

CHUNK = 500  # values in one IN list; SQLite before 3.32 takes 999

Item = TypeVar("Item")


def split(key: StudyKey) -> tuple[StudyUid, int]:
    """The study UID and the revision that a key names."""
    study_uid, _, revision = key.rpartition("#")
    if not study_uid or not revision.isdecimal() or len(revision) > 9:
        raise NotFound(f"{key!r} is no study key; it should read <study UID>#<revision>.")
    return StudyUid(study_uid), int(revision)


def of_revision(table: Table, key: StudyKey) -> ColumnElement[bool]:
    """The condition that a row belongs to the revision `key`."""
    study_uid, revision = split(key)
    return and_(table.c.study_uid == study_uid, table.c.revision == revision)


def is_newest() -> ColumnElement[bool]:
    """The condition that no later revision of a row of `study` is here."""
    study, newer = tables.study, tables.study.alias()
    later = select(newer.c.revision).where(
        newer.c.study_uid == study.c.study_uid, newer.c.revision > study.c.revision
    )
    return ~later.exists()


def after(place: Sequence[Column[Any]], values: Sequence[Any]) -> ColumnElement[bool]:
    """The condition that a row stands after these values in the order of the columns."""
    return tuple_(*place) > _typed(place, values)


def before(place: Sequence[Column[Any]], values: Sequence[Any]) -> ColumnElement[bool]:
    """The condition that a row stands before these values in the order of the columns."""
    return tuple_(*place) < _typed(place, values)


def _typed(place: Sequence[Column[Any]], values: Sequence[Any]) -> Tuple:
    pairs = zip(place, values, strict=True)
    return tuple_(*(literal(value, column.type) for column, value in pairs))


def columns(table: Table, record: type[Any]) -> list[Column[Any]]:
    """The columns that hold the fields of a record, in the order of the fields."""
    return [table.c[field.name] for field in fields(record)]


def study(session: Session, key: StudyKey, *, lock: bool = False) -> Study:
    """The row of a revision; NotFound where there is none.

    With `lock` no other transaction changes it before this one ends (SQLite: BEGIN IMMEDIATE has
    seen to that already), and rows that refer to it may still be written.
    """
    statement = select(tables.study).where(of_revision(tables.study, key))
    if lock:
        statement = statement.with_for_update(key_share=True)
    row = session.execute(statement).one_or_none()
    if row is None:
        raise NotFound(f"There is no study {key}; `neurosieve studies list` shows what is here.")
    return Study(**row._asdict())


def insert_missing(session: Session, table: Table, values: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose key is not there yet and leave the others as they are."""
    if not values:
        return
    on_sqlite = session.get_bind().dialect.name == "sqlite"
    statement = sqlite.insert(table) if on_sqlite else postgresql.insert(table)
    session.execute(statement.on_conflict_do_nothing(), values)


def chunks(items: Sequence[Item]) -> Iterator[list[Item]]:
    """The items in lists that fit into one statement."""
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk

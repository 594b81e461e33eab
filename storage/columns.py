"""Kinds of columns that read back the same from SQLite and from PostgreSQL."""

import json
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import DateTime, Dialect, Enum, Text, TypeDecorator


class UtcTime(TypeDecorator[datetime]):
    """A moment; aware and in UTC on both sides, also on SQLite, which knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"The time {value} names no time zone; give it one, such as UTC.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def plain(text: str) -> str:
    """A text less what PostgreSQL cannot hold: NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


class Words(TypeDecorator[str]):
    """Free text from peers and people, made plain."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        return None if value is None else plain(value)


class Numbers(TypeDecorator[tuple[float, ...]]):
    """Numbers as JSON text, exact to the last bit; NaN is allowed, which a JSON column refuses."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[float, ...] | None, _dialect: Dialect) -> str | None:
        return None if value is None else json.dumps([float(number) for number in value])

    def process_result_value(
        self, value: str | None, _dialect: Dialect
    ) -> tuple[float, ...] | None:
        return None if value is None else tuple(float(number) for number in json.loads(value))


class Uids(TypeDecorator[frozenset[str]]):
    """A set of UIDs as JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: frozenset[str] | None, _dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(sorted(value))

    def process_result_value(self, value: str | None, _dialect: Dialect) -> frozenset[str] | None:
        return None if value is None else frozenset(json.loads(value))


def _values(kind: type[StrEnum]) -> list[str]:
    return [member.value for member in kind]


def one_of(kind: type[StrEnum]) -> Enum:
    """A word of a StrEnum, kept as text: a new word needs no change of the column."""
    return Enum(kind, native_enum=False, length=32, values_callable=_values)

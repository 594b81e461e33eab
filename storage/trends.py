"""Study scores by scanner and month, as one model under one set of thresholds gave them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Row, or_, select
from sqlalchemy.orm import Session

from storage import rows, tables
from storage.enums import Outcome


@dataclass(frozen=True, kw_only=True)
class ScannerMonth:
    """The studies of one scanner that came in one month (UTC), such as "2026-11".

    `scanner` is empty for studies whose images name none. `scores` are in the order of arrival.
    """

    scanner: str
    month: str
    scores: tuple[float, ...]
    abnormal: int


def by_scanner_and_month(
    session: Session,
    *,
    model_sha256: str,
    threshold_version: str,
    since: Mapping[str, datetime] | None = None,
    of: str | None = None,
) -> list[ScannerMonth]:
    """What the newest revision of each study scored, scanner by scanner, the months in order.

    `since` leaves out, for a scanner, what was analysed before a moment; `of` names the only
    scanner that is wanted.
    """
    study, said = tables.study, tables.analysis
    statement = (
        select(
            said.c.scanner,
            said.c.study_score,
            said.c.outcome,
            said.c.created_at,
            study.c.first_received_at,
        )
        .join(
            study,
            (study.c.study_uid == said.c.study_uid) & (study.c.revision == said.c.revision),
        )
        .where(said.c.model_sha256 == model_sha256, said.c.threshold_version == threshold_version)
        .where(said.c.study_score.is_not(None), rows.is_newest())
        .order_by(study.c.first_received_at, study.c.study_uid)
    )
    if of is not None:
        named = said.c.scanner == of
        statement = statement.where(named if of else or_(named, said.c.scanner.is_(None)))
    starts = since or {}
    counted = [
        row
        for row in session.execute(statement)
        if (row.scanner or "") not in starts or row.created_at > starts[row.scanner or ""]
    ]
    grouped = groupby(sorted(counted, key=_place), key=_place)
    return [_month(*place, list(rows)) for place, rows in grouped]


def _place(row: Row[Any, Any, Any, Any, Any]) -> tuple[str, str]:
    return row.scanner or "", f"{row.first_received_at:%Y-%m}"


def _month(scanner: str, month: str, rows: list[Row[Any, Any, Any, Any, Any]]) -> ScannerMonth:
    return ScannerMonth(
        scanner=scanner,
        month=month,
        scores=tuple(row.study_score for row in rows),
        abnormal=sum(row.outcome is Outcome.ABNORMAL for row in rows),
    )

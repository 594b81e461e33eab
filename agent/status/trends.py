"""How many studies have ended, hour by hour and day by day."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy.orm import Session

from storage import figures


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One column of a chart; `share` is its height, 0 to 1."""

    label: str
    count: int
    share: float

    @property
    def height(self) -> int:
        """In hundredths, at least 1, so that nothing still shows a line."""
        return max(1, round(100 * self.share))


@dataclass(frozen=True, kw_only=True)
class Trend:
    """What has ended in a span of time."""

    total: int
    bars: tuple[Bar, ...]
    median_seconds: float | None


def last_day(session: Session, now: datetime) -> Trend:
    """The last 24 hours, a bar an hour."""
    return _trend(session, now, count=24, step=timedelta(hours=1), form="%H:00")


def last_week(session: Session, now: datetime) -> Trend:
    """The last 7 days, a bar a day."""
    return _trend(session, now, count=7, step=timedelta(days=1), form="%a")


def _trend(session: Session, now: datetime, *, count: int, step: timedelta, form: str) -> Trend:
    begin = now - count * step
    ended = figures.passages(session, begin)
    places = Counter(min(count - 1, int((one.finished_at - begin) / step)) for one in ended)
    most = max(places.values(), default=0) or 1
    bars = tuple(
        Bar(
            label=(begin + (place + 1) * step).astimezone().strftime(form),
            count=places[place],
            share=places[place] / most,
        )
        for place in range(count)
    )
    seconds = [(one.finished_at - one.last_received_at).total_seconds() for one in ended]
    return Trend(total=len(ended), bars=bars, median_seconds=median(seconds) if seconds else None)

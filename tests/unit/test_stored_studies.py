"""What an administrator may ask for among the stored studies."""

from datetime import UTC, datetime

import pytest

from agent import stored_studies
from agent.errors import ConfigurationError
from storage.enums import Mark

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-01-01", MIDNIGHT),
        ("2026-01-01T00:00", MIDNIGHT),
        ("2026-01-01T00:00Z", MIDNIGHT),
        ("2026-01-01T02:00+02:00", MIDNIGHT),
        ("2025-12-31T19:00-05:00", MIDNIGHT),
    ],
)
@pytest.mark.parametrize("key", ["since", "until"])
def test_a_time_is_meant_in_its_zone_and_without_one_in_utc(
    key: str, text: str, meant: datetime
) -> None:
    assert getattr(stored_studies.parse(f"{key}={text}"), key) == meant


def test_without_a_mark_all_that_is_tumour_free_is_meant() -> None:
    query = stored_studies.parse("scanner=Achieva")
    assert set(query.marks) == {Mark.NORMAL, Mark.FALSE_POSITIVE}
    assert stored_studies.parse("marked=normal").marks == (Mark.NORMAL,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("marked=lesion", "hold a lesion"),
        ("marked=normal,marked=missed", "hold a lesion"),
        ("marked=fine", "is no mark"),
        ("since=yesterday", "is no day"),
        ("age=3", "is no condition"),
        ("scanner=", "is no condition"),
    ],
)
def test_what_cannot_be_asked_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        stored_studies.parse(text)

"""Figures as text and Markdown tables."""

import pytest

from model_training.evaluation import tables
from model_training.evaluation.resampling import Interval

NOTHING = float("nan")


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.9623, ".962"), (1.0, "1.000"), (-0.0123, "-.012"), (-0.0001, ".000"), (12.5, "12.500")],
)
def test_figures_are_written_without_the_nought(value: float, written: str) -> None:
    assert tables.number(value) == written


def test_an_interval_stands_in_brackets() -> None:
    found = Interval(value=0.962, low=0.936, high=0.985)
    assert tables.text(found) == ".962 [.936, .985]"
    assert tables.text(found, 1) == "1.0 [.9, 1.0]"


def test_what_is_not_known_is_left_empty() -> None:
    assert tables.text(Interval(value=NOTHING, low=NOTHING, high=NOTHING)) == ""
    assert tables.text(Interval(value=0.5, low=NOTHING, high=NOTHING)) == ".500"
    assert tables.text(None) == ""


def test_a_share_is_written_as_a_count() -> None:
    assert tables.count(Interval(value=13 / 16, low=0.544, high=0.96), 16) == (
        "13 of 16 [.544, .960]"
    )


def test_every_row_of_a_table_has_the_cells_of_its_head() -> None:
    lines = tables.table(["scored by", "AUROC"], [["model", ".9"], ["a longer name", ""]])
    assert {line.count("|") for line in lines.splitlines()} == {3}
    assert len({len(line) for line in lines.splitlines()}) == 1

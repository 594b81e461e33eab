"""The benchmark harness: turns, ratios, and figures that survive the way through a file."""

from pathlib import Path

import pytest

from benchmarks import harness
from benchmarks.harness import OURS, Figure, Report

FASTER = Figure(
    what="receiving",
    unit="images/s",
    values={OURS: [300.0, 200.0, 400.0], "storescp": [600.0, 500.0, 700.0]},
    more_is_better=True,
    wanted="at least 1.0",
    kept=False,
)
SHORTER = Figure(what="reading", unit="ms", values={OURS: [2.0], "torch": [9.0]})


def test_the_order_alternates_so_that_none_always_comes_first() -> None:
    came: list[str] = []

    def contestant(name: str) -> float:
        came.append(name)
        return float(len(came))

    values = harness.interleave(
        {"a": lambda: contestant("a"), "b": lambda: contestant("b")}, rounds=3
    )
    assert came == ["a", "b", "b", "a", "a", "b"]
    assert values == {"a": [1.0, 4.0, 5.0], "b": [2.0, 3.0, 6.0]}


@pytest.mark.parametrize(
    ("figure", "peer", "ratio"), [(FASTER, "storescp", 0.5), (SHORTER, "torch", 4.5)]
)
def test_a_ratio_above_one_means_that_ours_is_the_better_one(
    figure: Figure, peer: str, ratio: float
) -> None:
    assert figure.ratio(peer) == ratio


def test_a_missed_figure_is_said_in_the_table_and_by_the_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert harness.report(Report(benchmark="receive", figures=[FASTER]), None) == 1
    assert "**0.50** x storescp" in (said := capsys.readouterr().out)
    assert "at least 1.0: **no**" in said
    assert harness.report(Report(benchmark="infer", figures=[SHORTER]), None) == 0


def test_what_was_measured_can_be_read_again(tmp_path: Path) -> None:
    made = Report(benchmark="receive", figures=[FASTER, SHORTER], missing=["Orthanc"])
    harness.report(made, tmp_path / "figures" / "receive.json")
    assert harness.from_json((tmp_path / "figures" / "receive.json").read_text("utf-8")) == made
    assert harness.table(made) in harness.tables(tmp_path / "figures")

"""`neurosieve bench`: each part is a benchmark of the checkout; a package without it says so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli import app, bench


@pytest.mark.parametrize("part", bench.Part)
def test_every_part_is_a_benchmark_that_says_what_it_does(part: bench.Part) -> None:
    script = bench.SCRIPTS / f"{part}.py"
    said = subprocess.run(
        [sys.executable, str(script), "--help"], capture_output=True, text=True, check=True
    )
    assert "--json" in said.stdout
    assert "--rounds" in said.stdout


def test_a_part_leaves_its_figures_and_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small benchmark in the place of the large ones."""
    harness = bench.SCRIPTS / "harness.py"
    (tmp_path / "harness.py").write_text(harness.read_text("utf-8"), "utf-8")
    (tmp_path / "infer.py").write_text(_SMALL, "utf-8")
    monkeypatch.setattr(bench, "SCRIPTS", tmp_path)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["bench", "infer", "--rounds", "3", "--out", str(out)])
    assert done.exit_code == 1  # the figure is not what was asked for
    figure = json.loads((out / "infer.json").read_text("utf-8"))["figures"][0]
    assert figure["values"] == {"NeuroSieve": [2.0, 2.0, 2.0]}
    assert "| counting |" in (out / "benchmarks.md").read_text("utf-8")


def test_an_installed_package_says_where_the_benchmarks_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "SCRIPTS", tmp_path / "nowhere")
    done = CliRunner().invoke(app, ["bench", "infer"])
    assert done.exit_code == 1
    assert "make bench" in done.stderr


_SMALL = """\
import harness

asked = harness.parser("Counts.").parse_args()
values = harness.interleave({harness.OURS: lambda: 2.0}, rounds=asked.rounds)
figure = harness.Figure(what="counting", unit="s", values=values, wanted="1 s", kept=False)
raise SystemExit(harness.report(harness.Report(benchmark="infer", figures=[figure]), asked.json))
"""

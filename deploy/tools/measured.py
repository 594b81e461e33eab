"""The table of what was measured, from the files that the benchmarks left."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from benchmarks import harness

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "measured"


def benchmarks() -> str:
    """Every figure, and on which machine it was measured."""
    return harness.tables(FOLDER)


TABLES = {"benchmarks": benchmarks}

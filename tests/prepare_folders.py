"""Where a test of `neurosieve-train prepare` reads from and writes to, as a pytest plugin."""

from pathlib import Path

import pytest


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The folder that a test fills."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the collection goes."""
    return tmp_path / "collection"

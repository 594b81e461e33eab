"""Fixtures that every kind of test may use."""

import os
from pathlib import Path

import pytest

pytest_plugins = ["buckets", "databases", "prepare_folders"]

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that may not be shipped, or a skip that says so."""
    folder = Path(os.environ.get("NEUROSIEVE_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("needs the real data sets beside the checkout (NEUROSIEVE_SHARED_DATA)")
    return folder

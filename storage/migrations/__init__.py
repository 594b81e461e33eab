"""The schema's history, run by `storage.database.Database.migrate`."""

from pathlib import Path


def newest() -> str:
    """The last revision; the names of their files count them, as in `r0001_first_schema.py`."""
    files = (Path(__file__).parent / "versions").glob("r[0-9]*.py")
    return max(file.name for file in files)[1:5]

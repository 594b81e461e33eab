"""Files that a run and a model folder keep of others."""

import shutil
from pathlib import Path


def copy(source: Path, target: Path) -> None:
    """Copies a file, unless it is itself: what goes on with a folder may name the folder's own."""
    if source.resolve() != target.resolve():
        shutil.copyfile(source, target)

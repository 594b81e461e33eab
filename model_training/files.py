"""Files that a run and a model folder keep, each there as a whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to; what was written takes the place of `path` at the end, in one step."""
    partial = path.with_name(f"{path.name}.part")
    yield partial
    partial.replace(path)


def copy(source: Path, target: Path) -> None:
    """Copies a file, unless it is itself: what goes on with a folder may name the folder's own."""
    if source.resolve() != target.resolve():
        with whole(target) as partial:
            shutil.copyfile(source, partial)

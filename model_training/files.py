"""Files that a run and a model folder keep: of others, or written whole."""

import shutil
from pathlib import Path


def copy(source: Path, target: Path) -> None:
    """Copies a file, unless it is itself: what goes on with a folder may name the folder's own."""
    if source.resolve() != target.resolve():
        shutil.copyfile(source, target)


def write(path: Path, text: str) -> None:
    """Puts a text in its place in one step: a crash leaves what was there, or the new one."""
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)

"""Keeps the whole state of a run, so that a broken run goes on as if nothing had happened."""

from pathlib import Path
from typing import Any

import torch

FILE_NAME = "checkpoint.pt"


def save(folder: Path, state: dict[str, Any]) -> None:
    """Replaces the checkpoint in one step: a crash leaves the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / (FILE_NAME + ".part")
    torch.save(state, partial)
    partial.replace(folder / FILE_NAME)


def load(folder: Path) -> dict[str, Any] | None:
    """The state of the run in a folder, None if it has not started."""
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state

"""What a model has learnt, kept beside its graph: another run may go on from there.

A site with few scans of its own fits a model to them instead of learning all brains anew.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from agent import model_toml

FILE_NAME = "weights.pt"
ORIGIN_FILE = "origin.txt"

Weights = Mapping[str, Any]
"""The state of a method's networks."""


def save(folder: Path, members: Sequence[Weights]) -> None:
    """Writes the weights of the runs that answer together."""
    torch.save([dict(one) for one in members], folder / FILE_NAME)


def load(model_folder: Path, seed: int) -> Weights:
    """Weights to begin with; of several members each seed takes another.

    Raises FileNotFoundError for a model folder that holds none.
    """
    path = model_folder / FILE_NAME
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: only a model folder that `neurosieve-train export` wrote with "
            "its weights can be gone on from."
        )
    members: list[Weights] = torch.load(path, map_location="cpu", weights_only=True)
    return members[(seed - 1) % len(members)]


def take(networks: nn.Module, learnt: Weights, name: str) -> None:
    """Puts weights in place; raises ValueError where they do not fit the recipe of that name."""
    try:
        networks.load_state_dict(learnt)
    except RuntimeError as error:
        raise ValueError(
            f"The weights do not fit the networks of {name}: go on with the recipe that the model "
            "was trained by."
        ) from error


def note_origin(folder: Path, model_folder: Path) -> None:
    """Keeps in a run's folder which model it began with."""
    digest = model_toml.describe(model_folder).sha256
    (folder / ORIGIN_FILE).write_text(digest + "\n", encoding="utf-8")


def origin(folder: Path) -> str | None:
    """The sha256 of the graph a run began with, None for a run that began with nothing."""
    path = folder / ORIGIN_FILE
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None

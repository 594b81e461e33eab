"""How a retraining says how far it is: one JSON object a line, for people and programs alike."""

import json
from collections.abc import Callable
from enum import StrEnum

import typer

Tell = Callable[[float, str], None]
"""A share of a stage from 0 to 1, and a sentence."""


class Stage(StrEnum):
    """The stages in their order."""

    CHECKING = "checking"
    SLICES = "slices"
    TRAINING = "training"
    THRESHOLDS = "thresholds"
    EXPORT = "export"
    EVALUATION = "evaluation"
    DONE = "done"


# Where each begins, of the whole; training takes most of the time.
BEGINNINGS = {
    Stage.CHECKING: 0.0,
    Stage.SLICES: 0.1,
    Stage.TRAINING: 0.2,
    Stage.THRESHOLDS: 0.8,
    Stage.EXPORT: 0.85,
    Stage.EVALUATION: 0.9,
    Stage.DONE: 1.0,
}


def line(stage: Stage, share: float, message: str) -> str:
    """One line; `progress` is of the whole retraining."""
    order = list(Stage)
    begins = BEGINNINGS[stage]
    ends = BEGINNINGS[order[min(order.index(stage) + 1, len(order) - 1)]]
    progress = round(begins + share * (ends - begins), 4)
    return json.dumps({"stage": stage, "progress": progress, "message": message})


def of(stage: Stage) -> Tell:
    """Prints the lines of one stage; the reader may be a pipe, so each goes out at once."""

    def tell(share: float, message: str) -> None:
        typer.echo(line(stage, share, message))

    return tell

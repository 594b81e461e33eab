"""Limits of acceptance as the tables that `calibration.json` and `model.toml` hold.

`agent.model_toml.acceptance` reads them back.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from agent import model_toml
from agent.imaging.acceptance import Limit, Limits

FILE_NAME = "acceptance.json"
Table = dict[str, dict[str, float]]


def as_table(limits: Limits) -> dict[str, Table]:
    """`stack` and `single`: the ends of each trait's range, without infinite ones."""
    return {"stack": ranges(limits.stack), "single": ranges(limits.single)}


def ranges(limits: Sequence[Limit]) -> Table:
    """The ends of each trait's range."""
    return {
        one.trait.value: {
            name: value
            for name, value in (("least", one.least), ("most", one.most))
            if math.isfinite(value)
        }
        for one in limits
    }


def as_toml(limits: Limits) -> str:
    """The tables `[acceptance.stack]` and `[acceptance.single]` of a `model.toml`; no text where
    there are no limits."""
    if not limits.stack:
        return ""
    return "\n".join(
        [
            "[acceptance.stack]  # usual range of each trait of a volume: agent/imaging/traits.py",
            *lines(limits.stack),
            "",
            "[acceptance.single]  # and of a single image",
            *lines(limits.single),
            "",
        ]
    )


def lines(limits: Sequence[Limit]) -> list[str]:
    """One line for each trait."""
    return [
        f"{trait} = {{ {', '.join(f'{name} = {value!r}' for name, value in ends.items())} }}"
        for trait, ends in ranges(limits).items()
    ]


def save(path: Path, limits: Limits) -> None:
    """Keeps limits in a file."""
    path.write_text(json.dumps(as_table(limits), indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Limits:
    """Limits that were kept."""
    return model_toml.acceptance(json.loads(path.read_text(encoding="utf-8")))

"""What documents say about the shipped model, from the files of its folder."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

from regions import Row, table

MODEL = Path(__file__).resolve().parents[2] / "agent" / "models" / "flair_dae_gan"
_FIGURES = ("auroc", "accuracy", "sensitivity", "specificity")
_LINES = ("model", "FLAIR threshold in the brain", "shortcut classifier (size and position)")


def model() -> str:
    """Which model is shipped, and what it was made for."""
    described = tomllib.loads((MODEL / "model.toml").read_text("utf-8"))
    facts = described["model"]
    limits = described["thresholds"]
    return table(
        ("item", "value"),
        (
            ("model", f"{facts['name']} {facts['version']}"),
            ("reads", f"{facts['sequence']}, {facts['plane']}"),
            ("SHA-256 of `model.onnx`", f"`{facts['sha256']}`"),
            ("slice threshold", f"{limits['slice']:.4g}"),
            ("pixel threshold", f"{limits['pixel']:.4g}"),
            ("smallest region", f"{limits['minimum_volume_ml']:g} ml"),
        ),
    )


def figures() -> str:
    """Slice by slice, with 95 % intervals over patients, beside trivial baselines."""
    return table(("on", "by", *_FIGURES), _rows())


def _rows() -> Iterator[Row]:
    measured = json.loads((MODEL / "evaluation.json").read_text("utf-8"))
    for cohort in measured["cohorts"]:
        name = f"{cohort['name']}, {cohort['patients']} patients, {cohort['slices']} slices"
        for line in cohort["lines"]:
            if line["name"] in _LINES and any(line["figures"].get(one) for one in _FIGURES):
                yield name, line["name"], *(_written(line["figures"].get(one)) for one in _FIGURES)


def _written(figure: dict[str, float] | None) -> str:
    if figure is None or figure["value"] is None:
        return ""
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


TABLES = {"model": model, "figures": figures}

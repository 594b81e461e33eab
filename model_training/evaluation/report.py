"""One Markdown report of an evaluated model: what was asked, of what, and every figure."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from model_training.calibrate import Frozen
from model_training.evaluation import cohort_tables, tumour_free_tables
from model_training.evaluation.cohorts import Cohort
from model_training.evaluation.reliability import Coverage
from model_training.evaluation.resampling import DRAWS
from model_training.evaluation.tables import number, table
from model_training.evaluation.tumour_free import Marked
from model_training.evaluation.worst import Case

FILE_NAME = "report.md"
HOW_TO_READ = f"""\
- Brackets: 95 % interval from drawing patients anew, {DRAWS} times; for shares of patients ("13 of
  16") the exact binomial interval. [.000, .000] says no more than that all drawn patients agree.
  Slices: those with head in over 20 % of the frame.
- "Sensitivity at 5 %": threshold at the 95th percentile of tumour-free calibration slices, with the
  false-positive rate it really had. "Same height": AUROC between slices of the same tenth of the
  brain's height, which takes the help of position away. "< 100 px": slices with less than 100
  pixels of tumour against all tumour-free slices.
- "Best Dice" takes the threshold that suits these very patients best: an upper bound, not a result.
  Pixels are those of whole volumes; tumour outside the brain mask counts as missed.
- "Map": pixels above the pixel threshold. "Regions": the final mask (holes filled, of the least
  volume, touching a slice above the slice threshold); baselines by the same rule. "Hit", "found": a
  tenth of the volume is marked. A region is false where less than a tenth of it lies on lesions.
  "Detections per tumour-free slice" are connected pieces within a slice.
- FROC: pieces of the map of the least volume, over a sweep of the pixel threshold. Millilitres
  follow the geometry of the files."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What was evaluated, on what, with which frozen thresholds, and by which command."""

    command: str
    split: str
    model: str
    version: str
    model_sha256: str
    brain_sha256: str
    runtime: str
    code_version: str
    training_data_sha256: str
    evaluated_data_sha256: str
    operating_point: str
    minimum_volume_ml: float
    thresholds: Mapping[str, Frozen]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Everything that is printed and kept."""

    provenance: Provenance
    cohorts: tuple[Cohort, ...]
    tumour_free: Marked
    coverage: tuple[Coverage, ...]
    worst: tuple[Case, ...]


def text(found: Evaluation, figures: Mapping[str, str]) -> str:
    """The whole report; `figures` are captions by path beside the report."""
    parts = [
        heading(found.provenance),
        thresholds(found.provenance),
        "## How to read the figures\n\n" + HOW_TO_READ,
        *(cohort_tables.section(one) for one in found.cohorts),
        tumour_free_tables.section(found.tumour_free, found.coverage),
        worst_slices(found.worst),
        pictures(figures),
    ]
    return "\n\n".join(parts) + "\n"


def heading(of: Provenance) -> str:
    """Model, data and command."""
    lines = [f"# Evaluation of {of.model} {of.version} on the {of.split} split", ""]
    if of.split != "test":
        lines += [
            "**For development only.** The thresholds were chosen on these very patients: every "
            "figure at a frozen threshold is better than it will be on others.",
            "",
        ]
    rows = [
        ["made by", f"`{of.command}`"],
        ["model, sha256", f"`{of.model_sha256}`"],
        ["brain network, sha256", f"`{of.brain_sha256}`"],
        ["run by", of.runtime],
        ["exported by", of.code_version],
        ["training data, sha256", f"`{of.training_data_sha256}`"],
        ["evaluated data, sha256", f"`{of.evaluated_data_sha256}`"],
    ]
    lines += ["Research use only.", "", table(["what", ""], rows)]
    return "\n".join(lines)


def thresholds(of: Provenance) -> str:
    """The frozen thresholds and how they were chosen."""
    rows = [
        [
            name,
            "low" if one.sign < 0 else "high",
            number(one.sign * one.slice),
            number(one.sign * one.slice_at_5_percent),
            "" if one.pixel is None else number(one.pixel),
        ]
        for name, one in of.thresholds.items()
    ]
    head = ["scored by", "values that speak for tumour", "slice", "slice at 5 %", "pixel"]
    return (
        f"## Thresholds, frozen before the evaluation\n\n{table(head, rows)}\n\n"
        f"How they were chosen: {of.operating_point}. Least volume of a region: "
        f"{of.minimum_volume_ml:g} ml."
    )


def worst_slices(found: Sequence[Case]) -> str:
    """The slices that a reader should look at, in the order of the picture."""
    rows = [
        [
            str(place),
            one.failure,
            one.name,
            str(one.slice),
            number(one.score, 2),
            number(one.margin, 2),
            str(one.tumour_pixels),
            "" if one.slices_to_tumour is None else str(one.slices_to_tumour),
            number(one.height, 2),
        ]
        for place, one in enumerate(found, start=1)
    ]
    head = [
        "place",
        "",
        "patient",
        "slice",
        "score",
        "score / threshold",
        "tumour, px",
        "slices to the tumour",
        "height",
    ]
    return (
        "## The worst slices\n\nThe lowest scores of slices with tumour and the highest without, "
        "three of one patient at most; from 1 on the slice is called anomalous. Patients bear the "
        "number of their place in the collection.\n\n" + table(head, rows)
    )


def pictures(figures: Mapping[str, str]) -> str:
    """Every figure with its caption."""
    shown = [f"![{caption}]({path})\n\n{caption}" for path, caption in figures.items()]
    return "\n\n".join(["## Figures", *shown])


def to_json(found: Evaluation) -> str:
    """All figures as JSON; what is not a number becomes null."""
    return json.dumps(without_nan(asdict(found)), indent=1) + "\n"


def without_nan(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value

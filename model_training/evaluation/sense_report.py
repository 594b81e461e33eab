"""The report of a model that was evaluated on healthy subjects alone."""

import json
from dataclasses import asdict

from model_training.calibrate import QUIET_SHARE
from model_training.evaluation import report
from model_training.evaluation.examine import MODEL
from model_training.evaluation.report import Provenance
from model_training.evaluation.resampling import DRAWS
from model_training.evaluation.sense import AUROC, PRECISION, Sense
from model_training.evaluation.synthetic import Family
from model_training.evaluation.tables import number, table, text

COLUMNS = {
    AUROC: "slice AUROC",
    PRECISION: "pixel AP",
    "best_dice": "best Dice (upper bound)",
    "sensitivity_at_5_percent": "sensitivity at 5 %",
    "false_positives_at_5_percent": "its real false-positive rate",
}
CAUTION = """\
Every subject is healthy, so nothing here says how well the model finds disease. Lesions are drawn
into each slice, which is shown once with and once without: irregular, from hardly to clearly
brighter than brain (the family by which the weights were chosen, in other subjects), and the same
with the sign turned, which nothing was chosen by."""


def as_markdown(found: Sense, of: Provenance) -> str:
    """The whole report."""
    brackets = f"Brackets: 95 % interval from drawing subjects anew, {DRAWS} times."
    parts = [
        report.heading(of),
        thresholds(of),
        f"## Healthy subjects\n\n{found.subjects} subjects, {found.slices} slices.\n\n{CAUTION}",
        f"### Restoration\n\nMean absolute error against the untouched slice, over the brain or "
        f"over the lesion; brain tissue is 0.4. Copying a slice makes no error in health and "
        f"restores nothing. {brackets}\n\n{restoration_table(found)}",
        f"### Synthetic lesions\n\n{brackets}\n\n{finding_table(found)}",
        f"### The model less another way of scoring, paired by subject\n\n{less_table(found)}",
    ]
    return "\n\n".join(parts) + "\n"


def thresholds(of: Provenance) -> str:
    """The model's thresholds, which no lesion took part in choosing (`calibrate.freeze`)."""
    frozen = of.thresholds[MODEL]
    pixel = "" if frozen.pixel is None else f", pixel {number(frozen.pixel)}"
    return (
        f"Thresholds, frozen before: slice {number(frozen.slice)}{pixel}. The first lets 5 % of "
        f"the slices of healthy calibration subjects pass, the second {QUIET_SHARE:.1%} of the "
        "pixels of their brains that have any value."
    )


def restoration_table(found: Sense) -> str:
    """One line a way of restoring."""
    head = ["restored by", "untouched brain", *(f"in a {family} lesion" for family in Family)]
    rows = [
        [
            one.name,
            text(one.healthy, 4),
            *(text(one.in_lesion[family], 4) for family in Family),
        ]
        for one in found.restorations
    ]
    return table(head, rows)


def finding_table(found: Sense) -> str:
    """One line a way of scoring and family of lesions."""
    rows = [
        [one.family, one.name, *(text(one.figures.get(figure)) for figure in COLUMNS)]
        for one in found.findings
    ]
    return table(["lesions", "scored by", *COLUMNS.values()], rows)


def less_table(found: Sense) -> str:
    """One line a way of scoring that is not the model."""
    rows = [
        [one.family, one.name, *(text(one.model_less_this[name]) for name in (AUROC, PRECISION))]
        for one in found.findings
        if one.model_less_this
    ]
    return table(["lesions", "scored by", COLUMNS[AUROC], COLUMNS[PRECISION]], rows)


def to_json(found: Sense, of: Provenance) -> str:
    """All figures as JSON."""
    values = {"provenance": asdict(of), "sense": asdict(found)}
    return json.dumps(report.without_nan(values), indent=1) + "\n"

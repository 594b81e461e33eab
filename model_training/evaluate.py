"""Opens the test split once, with everything frozen, and writes the table."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent import pipeline
from agent.inference import AnomalyModel
from model_training import examine, metrics
from model_training.calibrate import Calibration, Frozen, pooled, sum_counts
from model_training.examine import Examined, Row
from model_training.metrics import Interval

DRAWS = 1000
FILE_NAME = "evaluation.json"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table; pixel figures are None where a way of scoring draws no map."""

    name: str
    auroc: Interval
    average_precision: Interval
    accuracy: Interval
    sensitivity_at_5_percent: float
    false_positive_rate: float
    pixel_average_precision: Interval | None
    dice_pooled: Interval | None
    dice_patient_mean: float | None


@dataclass(frozen=True, kw_only=True)
class Alarms:
    """What the whole calculation marks in subjects without a tumour."""

    subjects: int
    slices: int
    slices_marked: int
    slices_marked_elsewhere: int
    subjects_marked: int
    regions: int
    regions_elsewhere: int


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """One group of patients, the lines of its table, and the verdicts on them."""

    name: str
    patients: int
    slices: int
    tumour_slices: int
    majority_accuracy: float
    lines: tuple[Line, ...]
    studies_abnormal: int
    studies_hit: int
    mask_dice: float


def cohort(
    name: str, patients: Sequence[Examined], calibration: Calibration, model: AnomalyModel
) -> Cohort:
    """The table of one group of patients."""
    scored = [examine.rows(patient, calibration.fusion) for patient in patients]
    labels = np.concatenate([one.labels[one.evaluated] for one in patients])
    abnormal, hit, mask_dice = verdicts(patients, model)
    return Cohort(
        name=name,
        patients=len(patients),
        slices=len(labels),
        tumour_slices=int(labels.sum()),
        majority_accuracy=float(max(labels.mean(), 1 - labels.mean())),
        lines=tuple(
            line(row, patients, [rows[row] for rows in scored], frozen)
            for row, frozen in calibration.rows.items()
        ),
        studies_abnormal=abnormal,
        studies_hit=hit,
        mask_dice=mask_dice,
    )


def line(name: str, patients: Sequence[Examined], rows: Sequence[Row], frozen: Frozen) -> Line:
    """All figures of one way of scoring."""

    def slices(chosen: Sequence[int]) -> tuple[metrics.Floats, metrics.Labels]:
        scores, labels = pooled([patients[i] for i in chosen], [rows[i] for i in chosen])
        return frozen.sign * scores, labels

    def counts(chosen: Sequence[int]) -> NDArray[np.int64]:
        return sum_counts([rows[i] for i in chosen])

    everyone = list(range(len(patients)))
    sensitivity, false_positives = metrics.rates(*slices(everyone), frozen.slice_at_5_percent)

    def interval(figure: object) -> Interval:
        return metrics.bootstrap(everyone, figure, draws=DRAWS, seed=1)  # type: ignore[arg-type]

    pixel = frozen.pixel
    return Line(
        name=name,
        auroc=interval(lambda chosen: metrics.auroc(*slices(chosen))),
        average_precision=interval(lambda chosen: metrics.average_precision(*slices(chosen))),
        accuracy=interval(lambda chosen: metrics.accuracy(*slices(chosen), frozen.slice)),
        sensitivity_at_5_percent=sensitivity,
        false_positive_rate=false_positives,
        pixel_average_precision=None
        if pixel is None
        else interval(lambda chosen: metrics.pixel_average_precision(counts(chosen))),
        dice_pooled=None
        if pixel is None
        else interval(lambda chosen: metrics.dice(counts(chosen), pixel)),
        dice_patient_mean=None
        if pixel is None
        else float(np.mean([metrics.dice(counts([i]), pixel) for i in everyone])),
    )


def verdicts(patients: Sequence[Examined], model: AnomalyModel) -> tuple[int, int, float]:
    """Studies called abnormal, studies where a tenth of the lesion is inside a region, and the
    pooled Dice of the final mask."""
    abnormal = hit = common = total = 0
    for one in patients:
        found = pipeline.conclude(
            one.subject.volume,
            one.prepared,
            one.maps,
            model.description,
            model.description.thresholds,
        )
        lesion = one.subject.lesion
        abnormal += found.abnormal
        overlap = int((lesion & (found.labels > 0)).sum())
        hit += overlap >= 0.1 * max(int(lesion.sum()), 1)
        common += overlap
        total += int(lesion.sum()) + int((found.labels > 0).sum())
    return abnormal, hit, 2 * common / max(total, 1)


def alarms(subjects: Sequence[Examined], model: AnomalyModel) -> Alarms:
    """Regions in tumour-free subjects, on their white-matter lesions or elsewhere."""
    totals = np.zeros(6, dtype=int)
    for one in subjects:
        found = pipeline.conclude(
            one.subject.volume,
            one.prepared,
            one.maps,
            model.description,
            model.description.thresholds,
        )
        lesion = ndimage.binary_dilation(one.subject.lesion, iterations=2)
        explained = {
            region.number
            for region in found.regions
            if (lesion & (found.labels == region.number)).any()
        }
        elsewhere = (found.labels > 0) & ~np.isin(found.labels, sorted(explained))
        totals += np.array(
            [
                int(one.evaluated.sum()),
                int((found.labels > 0)[one.evaluated].any(axis=(1, 2)).sum()),
                int(elsewhere[one.evaluated].any(axis=(1, 2)).sum()),
                int(found.abnormal),
                len(found.regions),
                len(found.regions) - len(explained),
            ]
        )
    return Alarms(
        subjects=len(subjects),
        slices=int(totals[0]),
        slices_marked=int(totals[1]),
        slices_marked_elsewhere=int(totals[2]),
        subjects_marked=int(totals[3]),
        regions=int(totals[4]),
        regions_elsewhere=int(totals[5]),
    )


def table(found: Cohort) -> str:
    """The lines as a Markdown table."""
    head = (
        "| scored by | slice AUROC | AUPRC | accuracy | sens. at 5 % (FPR) | pixel AP "
        "| Dice pooled | Dice patient mean |\n|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *(markdown(one) for one in found.lines)])


def verdict(found: Cohort) -> str:
    """What the whole calculation says about the studies."""
    return (
        f"{found.patients} patients, {found.slices} slices, {found.tumour_slices} with tumour, "
        f"majority accuracy {found.majority_accuracy:.3f}; {found.studies_abnormal} studies called "
        f"abnormal, at least a tenth of the lesion marked in {found.studies_hit}, final mask's "
        f"pooled Dice {found.mask_dice:.3f}"
    )


def markdown(one: Line) -> str:
    """One line of the table."""
    cells = [
        one.name,
        interval_text(one.auroc),
        interval_text(one.average_precision),
        interval_text(one.accuracy),
        f"{one.sensitivity_at_5_percent:.2f} ({one.false_positive_rate:.2f})",
        interval_text(one.pixel_average_precision),
        interval_text(one.dice_pooled),
        "" if one.dice_patient_mean is None else f"{one.dice_patient_mean:.3f}",
    ]
    return "| " + " | ".join(cells) + " |"


def interval_text(figure: Interval | None) -> str:
    """`.950 [.900, .980]`."""
    if figure is None:
        return ""
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def save(path: Path, cohorts: Sequence[Cohort], found: Alarms, model_sha256: str) -> None:
    """All figures as JSON."""
    values = {
        "model_sha256": model_sha256,
        "cohorts": [asdict(one) for one in cohorts],
        "tumour_free": asdict(found),
    }
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")

"""What is marked in subjects without a tumour, and whether the p-values hold."""

from collections.abc import Mapping

import numpy as np

from model_training.evaluation import cohorts, reliability, studies
from model_training.evaluation.cohorts import Readings
from model_training.evaluation.examine import MODEL
from model_training.evaluation.reliability import Coverage
from model_training.evaluation.studies import Alarms

Marked = Mapping[str, tuple[Alarms, ...]]  # by way of scoring; one entry a group of subjects


def marked(readings: Readings) -> Marked:
    """Marks in tumour-free subjects, for every way of scoring that draws a map."""
    found = {
        row: [one.study for one in part if one.study is not None] for row, part in readings.items()
    }
    return {row: tuple(studies.by_group(part)) for row, part in found.items() if part}


def patient_coverage(name: str, readings: Readings, *, calibrating: bool) -> Coverage:
    """P-values of the tumour-free slices of patients.

    `calibrating`: these slices are the reference, so each patient is compared with the others.
    """
    patients = [one.scores for one in readings[MODEL]]
    if calibrating:
        clean = reliability.leave_one_out([one.scores[~one.labels] for one in patients])
    else:
        values = cohorts.p_values(readings)
        clean = [p[~one.labels] for p, one in zip(values, patients, strict=True)]
    return reliability.coverage(f"tumour-free slices, {name}", clean)


def coverages(readings: Readings) -> list[Coverage]:
    """P-values of tumour-free subjects by group: of lesion-free slices against the patients'
    reference, of studies against all other studies (they are the reference themselves)."""
    subjects = readings[MODEL]
    values = cohorts.p_values(readings)
    slices = [p[~one.scores.labels] for p, one in zip(values, subjects, strict=True)]
    found = [one.study for one in subjects if one.study is not None]
    scores = [np.array([np.nan if one.score is None else one.score]) for one in found]
    whole = reliability.leave_one_out(scores) if len(scores) > 1 else []
    coverage = []
    for group, chosen in studies.grouped(found).items():
        for kind, parts in (("lesion-free slices", slices), ("studies", whole)):
            if parts:
                name = f"{kind}, {group}"
                coverage.append(reliability.coverage(name, [parts[place] for place in chosen]))
    return coverage

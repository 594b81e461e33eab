"""Draws all figures of a report and says under which path each lies."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from agent.imaging import preprocess
from model_training.evaluation import worst
from model_training.evaluation.cohorts import Line, marks
from model_training.evaluation.detections import Marks
from model_training.evaluation.examine import MODEL
from model_training.evaluation.groups import Group
from model_training.evaluation.plots import lesions, montage, scores, training
from model_training.evaluation.plots.montage import View
from model_training.evaluation.reliability import Coverage
from model_training.evaluation.scoresheets import Scoresheet
from model_training.evaluation.worst import Case, Failure

FIGURES = "figures"
BRIGHTEST = 3.0  # times the pixel threshold: drawn brightest
EXPERT_NOTE = "Orange: marked by the model; blue: the expert's outline."
NO_EXPERT_NOTE = "Orange: marked by the model. With the expert's outline: beside the run."


def charts(
    folder: Path,
    loss_file: Path,
    sheets: Mapping[str, Scoresheet],
    lines: Sequence[Line],
    coverage: Sequence[Coverage],
) -> dict[str, str]:
    """Every figure without a patient's image; captions by file name."""
    if loss_file.is_file():
        training.losses(loss_file, folder / "losses.png")
    scores.distribution(sheets[MODEL], folder / "scores.png")
    scores.roc(sheets, lines, folder / "roc.png")
    scores.precision_recall(sheets, lines, folder / "precision_recall.png")
    lesions.froc(lines, folder / "froc.png")
    lesions.by_size(lines, folder / "lesion_sizes.png")
    scores.coverage(coverage, folder / "coverage.png")
    captions = {
        "losses.png": "Losses of the training run: single steps pale, running mean over 25 strong.",
        "scores.png": "Slice scores of the model with and without tumour.",
        "roc.png": "ROC of slices; band of the model: 95 % of draws of patients.",
        "precision_recall.png": "Precision and recall of slices; dotted: the share with tumour.",
        "froc.png": "Lesions found over false regions per study.",
        "lesion_sizes.png": "Overlap and share found by size of lesion, final regions.",
        "coverage.png": "Share of tumour-free slices or studies with small p-values.",
    }
    return {name: caption for name, caption in captions.items() if (folder / name).is_file()}


def montages(
    folder: Path, group: Group, cases: Sequence[Case], *, outlines: bool
) -> dict[str, str]:
    """Best, median and worst patients, and the worst slices."""
    kinds = worst.patients([one.dice for one in model_marks(group)])
    typical = [
        largest_section(group, place, f"{kind} {number}")
        for kind, part in kinds.items()
        for number, place in enumerate(part, 1)
    ]
    failures = [
        [
            view(group, one.patient, one.slice, f"{one.failure} {place}\n{one.margin:.2f}")
            for place, one in enumerate(cases, 1)
            if one.failure == kind
        ]
        for kind in Failure
    ]
    montage.montage([typical], folder / "montage.png", outlines=outlines)
    montage.montage([part for part in failures if part], folder / "failures.png", outlines=outlines)
    note = EXPERT_NOTE if outlines else NO_EXPERT_NOTE
    return {
        "montage.png": "Best, median and worst patients by overlap of the final regions, each at "
        f"the largest section of the tumour, with the patient's Dice. {note}",
        "failures.png": "The worst slices, numbered as in the table, with score over threshold. "
        f"{note}",
    }


def model_marks(group: Group) -> list[Marks]:
    """What the model's final regions mark in each patient."""
    return marks(group.readings[MODEL], of_map=False)


def largest_section(group: Group, place: int, kind: str) -> View:
    """The slice with most tumour of one patient."""
    areas = group.subjects[place].subject.lesion.sum(axis=(1, 2))
    dice = model_marks(group)[place].dice
    return view(group, place, int(np.argmax(areas)), f"{kind}\nDice {dice:.2f}")


def view(group: Group, place: int, index: int, caption: str) -> View:
    """One slice of one patient on the source grid."""
    one, found = group.subjects[place], group.findings[place]
    restored = preprocess.to_source(one.maps.restoration, one.prepared.geometry)
    return View(
        caption=caption,
        image=one.subject.volume.voxels[index],
        restoration=restored[index],
        anomaly_map=found.anomaly_map[index],
        marked=found.labels[index] > 0,
        expert=one.subject.lesion[index],
        top=BRIGHTEST * found.pixel_threshold,
    )

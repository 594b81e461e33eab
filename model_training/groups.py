"""The subjects of one collection and split, run through the model and condensed."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agent import pipeline
from agent.imaging.results import Findings
from agent.inference import AnomalyModel
from model_training import examine, readings
from model_training.calibrate import Calibration
from model_training.collection import Member
from model_training.config import Recipe
from model_training.evaluate import Readings
from model_training.examine import Examined
from model_training.readings import Reading


@dataclass(frozen=True, kw_only=True)
class Group:
    """Subjects with what the model finds in each and what the evaluation counts."""

    name: str
    subjects: tuple[Examined, ...]
    findings: tuple[Findings, ...]
    readings: Readings


def open_group(
    name: str,
    members: Sequence[Member],
    *,
    model: AnomalyModel,
    recipe: Recipe,
    frozen: Calibration,
) -> Group:
    """Reads the subjects, runs the model, and counts under every way of scoring."""
    subjects = examine.examine(
        members,
        lambda prepared: model.run(prepared.slices, prepared.positions),
        recipe,
        model.find_brain,
    )
    findings = [conclude(one, model) for one in subjects]
    read = [
        readings.read(
            one, examine.rows(one, frozen.fusion), frozen.rows, found, frozen.minimum_volume_ml
        )
        for one, found in zip(subjects, findings, strict=True)
    ]
    return Group(
        name=name,
        subjects=tuple(subjects),
        findings=tuple(findings),
        readings=by_row(read),
    )


def conclude(one: Examined, model: AnomalyModel) -> Findings:
    """The shipped calculation from the maps on."""
    described = model.description
    return pipeline.conclude(
        one.subject.volume, one.prepared, one.maps, described, described.thresholds
    )


def by_row(read: Sequence[Mapping[str, Reading]]) -> Readings:
    """From one dictionary a subject to one list a way of scoring."""
    return {name: [one[name] for one in read] for name in (read[0] if read else {})}


def digest(groups: Sequence[Group]) -> str:
    """SHA-256 over names, voxels and masks of all subjects, in order."""
    found = hashlib.sha256()
    for one in (subject.subject for group in groups for subject in group.subjects):
        found.update(one.name.encode())
        found.update(np.ascontiguousarray(one.volume.voxels).tobytes())
        found.update(np.packbits(one.lesion).tobytes())
    return found.hexdigest()

"""The subjects of one collection and split, run through the model and condensed."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent import pipeline
from agent.imaging.results import Findings
from agent.inference import AnomalyModel
from model_training import collection
from model_training.calibrate import Calibration
from model_training.collection import Member, Split
from model_training.config import Recipe
from model_training.evaluation import examine, readings
from model_training.evaluation.cohorts import Readings
from model_training.evaluation.examine import Examined
from model_training.evaluation.readings import Reading


@dataclass(frozen=True, kw_only=True)
class Group:
    """Subjects with what the model finds in each and what the evaluation counts."""

    name: str
    subjects: tuple[Examined, ...]
    findings: tuple[Findings, ...]
    readings: Readings


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Everybody that is evaluated: patients by collection, other hospitals after the main one, and
    the tumour-free."""

    cohorts: Mapping[str, Group]
    tumour_free: Group | None

    @property
    def patients(self) -> Group:
        """Those of the main collection."""
        return next(iter(self.cohorts.values()))

    @property
    def everyone(self) -> list[Group]:
        """All groups."""
        return [*self.cohorts.values(), *([self.tumour_free] if self.tumour_free else [])]


def open_all(
    data_folder: Path, recipe: Recipe, model: AnomalyModel, frozen: Calibration, of: Split
) -> Opened:
    """Other hospitals belong to the test; the tumour-free are those that calibrate."""

    def opened(name: str, collections: Sequence[str], split: Split, lesion_wise: bool) -> Group:
        members = [
            member
            for one in collections
            for member in collection.of_split(collection.members(data_folder / one), split)
        ]
        return open_group(
            name, members, model=model, recipe=recipe, frozen=frozen, lesion_wise=lesion_wise
        )

    main, *without = recipe.collections
    cohorts = {main: opened(f"{main} {of}", [main], of, True)}
    if of == Split.TEST:
        for name in recipe.cross_site:
            cohorts[name] = opened(f"{name} (cross-site)", [name], of, True)
    healthy = opened("tumour-free", without, Split.CALIBRATION, False) if without else None
    return Opened(cohorts=cohorts, tumour_free=healthy)


def open_group(
    name: str,
    members: Sequence[Member],
    *,
    model: AnomalyModel,
    recipe: Recipe,
    frozen: Calibration,
    lesion_wise: bool,
) -> Group:
    """Reads the subjects, runs the model, and counts under every way of scoring; lesion by lesion
    where asked."""
    subjects = examine.examine(
        members,
        lambda prepared: model.run(prepared.slices, prepared.positions),
        recipe,
        model.find_brain,
    )
    findings = [conclude(one, model) for one in subjects]
    read = [
        readings.read(
            one,
            examine.rows(one, frozen.fusion, frozen.shortcut),
            frozen.rows,
            found,
            minimum_volume_ml=frozen.minimum_volume_ml,
            lesion_wise=lesion_wise,
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

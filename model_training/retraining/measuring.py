"""What two models make of the same held-back patients, none of whom has a tumour."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent import pipeline
from agent.imaging.preprocess import ModelInput
from agent.imaging.results import Findings, Pattern
from agent.imaging.scoring import Maps
from agent.inference import OnnxModel
from model_training.calibrate import Calibration, Frozen
from model_training.collection import Member
from model_training.config import Recipe
from model_training.evaluation import examine, groups, restorations, sense, studies, synthetic
from model_training.evaluation.comparison import Drawn
from model_training.evaluation.examine import MODEL, Examined
from model_training.evaluation.metrics import Floats
from model_training.evaluation.scoresheets import Scoresheet
from model_training.evaluation.studies import Alarms, Study
from model_training.evaluation.synthetic import Family, Twin
from model_training.retraining import thresholds

RATE = 0.05  # of tumour-free slices: where sensitivities to synthetic lesions are compared


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One model on the held-back patients. `errors` are mean absolute errors of restoration, one a
    scan; `slice_scores` are of all scans together; `sheets` hold the synthetic lesions."""

    threshold: float
    threshold_at_5_percent: float
    studies: tuple[Study, ...]
    alarms: Alarms
    study_scores: Floats
    slice_scores: Floats
    slice_p_values: Floats
    errors: dict[str, Floats]
    sheets: dict[Family, Scoresheet]
    figures: dict[Family, dict[str, Drawn]]


def measure(
    model: OnnxModel, calibration: Sequence[Member], held_back: Sequence[Member]
) -> Measured:
    """Everything of one model; raises ValueError where no scan can hold a synthetic lesion."""
    own = model.description.thresholds
    at_5_percent = quantile(examined(model, calibration), model)
    subjects = examined(model, held_back)
    findings = [groups.conclude(one, model) for one in subjects]
    frozen = frozen_of(model, at_5_percent)

    def answer(prepared: ModelInput) -> Maps:
        return pipeline.run_in_batches(prepared, model, pipeline.ignore)

    twins = {family: synthetic.twins(subjects, answer, family) for family in Family}
    if not all(twins.values()):
        raise ValueError("No held-back scan shows enough brain to put a synthetic lesion in.")
    sheets = {
        family: sense.sheet(MODEL, part, sense.by_model(model.description.fusion), frozen)
        for family, part in twins.items()
    }
    read = [study_of(one, found) for one, found in zip(subjects, findings, strict=True)]
    return Measured(
        threshold=own.slice,
        threshold_at_5_percent=at_5_percent,
        studies=tuple(read),
        alarms=studies.alarms(studies.EVERYONE, read),
        study_scores=np.array([found.study_score for found in findings]),
        slice_scores=pooled([f.slice_scores for f in findings], subjects),
        slice_p_values=pooled([f.slice_p_values for f in findings], subjects),
        errors=errors(twins),
        sheets=sheets,
        figures={family: sense.figures(sheet) for family, sheet in sheets.items()},
    )


def examined(model: OnnxModel, members: Sequence[Member]) -> list[Examined]:
    """The scans as the model sees them, white-matter lesions and all."""
    described = model.description
    grid = Recipe(
        name=described.name,
        version=described.version,
        sequence=described.sequence,
        plane=described.plane,
        collections=(),
        size=described.size,
        context=described.context,
    )
    found = examine.examine(
        members,
        lambda prepared: pipeline.run_in_batches(prepared, model, pipeline.ignore),
        grid,
        model.find_brain,
    )
    return [thresholds.tumour_free(one) for one in found]


def quantile(subjects: Sequence[Examined], model: OnnxModel) -> float:
    """The slice score that few tumour-free slices pass."""
    scores = [
        examine.model_row(one, model.description.fusion).slice_scores[one.evaluated]
        for one in subjects
    ]
    return float(np.quantile(np.concatenate(scores), 1 - RATE))


def frozen_of(model: OnnxModel, at_5_percent: float) -> Calibration:
    """A model's thresholds in the form that the evaluation reads."""
    described = model.description
    row = Frozen(
        sign=1,
        slice=described.thresholds.slice,
        slice_at_5_percent=at_5_percent,
        pixel=described.thresholds.pixel,
    )
    return Calibration(
        fusion=described.fusion,
        rows={MODEL: row},
        minimum_volume_ml=described.thresholds.minimum_volume_ml,
        slice_reference=described.slice_reference,
        study_reference=described.study_reference,
        patients=0,
        tumour_free_subjects=0,
        synthetic={},
    )


def study_of(one: Examined, found: Findings) -> Study:
    """What is marked in a scan; all of it is false."""
    return studies.study(
        one.subject.name,
        found.labels,
        one.subject.lesion,
        evaluated=one.evaluated,
        spacing_mm=one.subject.volume.spacing_mm,
        mass_like=found.pattern is Pattern.MASS_LIKE,
        score=found.study_score,
    )


def pooled(values: Sequence[Floats], subjects: Sequence[Examined]) -> Floats:
    """One value a slice, of the slices that show enough head."""
    return np.concatenate(
        [part[one.evaluated] for part, one in zip(values, subjects, strict=True)]
    ).astype(np.float64)


def errors(twins: dict[Family, list[Twin]]) -> dict[str, Floats]:
    """How far restorations are from the untouched slice: over healthy brain, over each lesion."""
    clean = next(iter(twins.values()))
    found = {
        "untouched brain": [
            np.abs(one.clean_maps.restoration - restorations.middle(one.clean))[one.clean.brain]
            for one in clean
        ]
    }
    for family, part in twins.items():
        found[f"in a {family} lesion"] = [
            np.abs(one.damaged_maps.restoration - restorations.middle(one.clean))[one.foreign]
            for one in part
        ]
    return {name: np.array([float(one.mean()) for one in rows]) for name, rows in found.items()}

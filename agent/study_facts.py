"""Everything that is kept of one revision of a study, and what its model says of itself."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from agent import model_toml, models_in_use
from agent.errors import UnusableModel
from agent.imaging import pattern
from agent.imaging.results import Shape
from agent.model_store import ModelStore
from agent.model_toml import ModelDescription
from storage import feedback, registry, results, retention, studies, thresholds
from storage.errors import NotFound
from storage.model_records import ThresholdSet
from storage.records import (
    Analysis,
    Delivery,
    Feedback,
    Lesion,
    ResultObject,
    SeriesDecision,
    Study,
    StudyKey,
)


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """`described` holds the thresholds that were in force, None where model or thresholds are not
    here any more; `made` is None where they were the model's own."""

    study: Study
    decisions: tuple[SeriesDecision, ...]
    analysis: Analysis | None
    lesions: tuple[Lesion, ...]
    described: ModelDescription | None
    made: ThresholdSet | None
    objects: tuple[ResultObject, ...]
    deliveries: tuple[Delivery, ...]
    marks: tuple[Feedback, ...]
    trial: Analysis | None
    trial_lesions: tuple[Lesion, ...]
    images_removed_at: datetime | None
    results_removed_at: datetime | None


def gather(session: Session, store: ModelStore, key: StudyKey) -> StudyFacts:
    """What is known of a revision. Raises NotFound where there is none."""
    study = studies.get(session, key)
    analysis = results.analysis_of(session, key)
    described, made = _model(session, store, study, analysis) if analysis else (None, None)
    return StudyFacts(
        study=study,
        decisions=studies.series_decisions(session, key),
        analysis=analysis,
        lesions=results.lesions_of(session, key),
        described=described,
        made=made,
        objects=results.objects_of(session, key),
        deliveries=results.deliveries_of(session, key),
        marks=tuple(feedback.history(session, study.study_uid)),
        trial=results.analysis_of(session, key, shadow=True),
        trial_lesions=results.lesions_of(session, key, shadow=True),
        images_removed_at=studies.images_removed_at(session, key),
        results_removed_at=retention.results_removed_at(session, key),
    )


def mass_terms(lesion: Lesion, described: ModelDescription | None) -> dict[str, float] | None:
    """What each measure adds to a lesion's mass score; None where it was not measured."""
    shape = _shape(lesion)
    return pattern.terms(shape, described.pattern) if shape and described else None


def _shape(lesion: Lesion) -> Shape | None:
    """What the rule weighs of a lesion as it is kept; the rest of the shape does not matter."""
    measured = (lesion.thickness_mm, lesion.asymmetry, lesion.contrast)
    if None in measured:
        return None
    return Shape(
        extent_mm=lesion.extent_mm or 0.0,
        thickness_mm=lesion.thickness_mm or 0.0,
        compactness=lesion.compactness or 0.0,
        asymmetry=lesion.asymmetry or 0.0,
        contrast=lesion.contrast or 0.0,
        ventricle_mm=lesion.ventricle_mm,
        near_ventricle=lesion.near_ventricle,
        surface_mm=lesion.surface_mm or 0.0,
    )


def _model(
    session: Session, store: ModelStore, study: Study, analysis: Analysis
) -> tuple[ModelDescription | None, ThresholdSet | None]:
    name, version = analysis.model_name, analysis.model_version
    try:
        if study.model_folder is not None:
            own = model_toml.describe(Path(study.model_folder))
        else:
            own = model_toml.describe(store.folder_of(registry.get(session, name, version)))
    except (NotFound, UnusableModel):
        return None, None
    if own.digest != analysis.model_sha256:
        return None, None
    made = thresholds.history(session, name, version)
    found = models_in_use.under_version(own, made, analysis.threshold_version)
    return found or (None, None)

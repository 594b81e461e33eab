"""Condenses one examined subject to what the evaluation counts, for every way of scoring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agent.imaging import preprocess
from agent.imaging.results import Findings
from model_training import detections, froc, scoresheets, studies
from model_training.calibrate import Frozen
from model_training.detections import Marks
from model_training.examine import MODEL, Examined, Row
from model_training.froc import Sweep
from model_training.metrics import Floats
from model_training.scoresheets import PatientScores, Scoresheet
from model_training.studies import Study


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One subject under one way of scoring.

    `map_marks` are of the map above the pixel threshold, `region_marks` and `study` of the final
    regions; they and `sweep` are None where a way of scoring draws no map. `p_values` (evaluated
    slices) only the model has.
    """

    scores: PatientScores
    p_values: Floats | None = None
    map_marks: Marks | None = None
    region_marks: Marks | None = None
    sweep: Sweep | None = None
    study: Study | None = None


def read(
    one: Examined,
    rows: Mapping[str, Row],
    frozen: Mapping[str, Frozen],
    found: Findings,
    minimum_volume_ml: float,
) -> dict[str, Reading]:
    """One subject under every way of scoring; `found` is the model's whole calculation."""
    readings = {}
    for name, thresholds in frozen.items():
        row, own = rows[name], found if name == MODEL else None
        reading = Reading(
            scores=slice_reading(one, row, thresholds),
            p_values=None if own is None else own.slice_p_values[one.evaluated],
        )
        if row.anomaly_map is not None and thresholds.pixel is not None:
            reading = with_map(reading, one, row.anomaly_map, thresholds.pixel, minimum_volume_ml)
            regions: NDArray[np.integer]
            if own is not None:
                regions = own.labels
            else:
                regions = detections.kept_regions(
                    row.anomaly_map,
                    thresholds.sign * row.slice_scores >= thresholds.slice,
                    threshold=thresholds.pixel,
                    least_voxels=minimum_volume_ml / one.subject.volume.voxel_ml,
                )
            reading = with_regions(reading, one, regions, own)
        readings[name] = reading
    return readings


def slice_reading(one: Examined, row: Row, thresholds: Frozen) -> PatientScores:
    """What is kept of the slice scores and the map's pixels."""
    heights = preprocess.slices_to_source(
        one.prepared.positions.astype(np.float64), one.prepared.geometry
    )
    return scoresheets.patient_scores(
        one.subject.name,
        thresholds.sign * row.slice_scores,
        one.subject.lesion,
        evaluated=one.evaluated,
        heights=heights,
        anomaly_map=row.anomaly_map,
        pixel_threshold=thresholds.pixel,
    )


def with_map(
    reading: Reading,
    one: Examined,
    anomaly_map: NDArray[np.float32],
    pixel_threshold: float,
    minimum_volume_ml: float,
) -> Reading:
    """Adds what the map above thresholds marks."""
    lesion, voxel_ml = one.subject.lesion, one.subject.volume.voxel_ml
    return replace(
        reading,
        map_marks=detections.count(
            anomaly_map > pixel_threshold, lesion, evaluated=one.evaluated, voxel_ml=voxel_ml
        ),
        sweep=froc.sweep(
            anomaly_map,
            lesion,
            threshold=pixel_threshold,
            voxel_ml=voxel_ml,
            minimum_volume_ml=minimum_volume_ml,
        ),
    )


def with_regions(
    reading: Reading, one: Examined, regions: NDArray[np.integer], found: Findings | None
) -> Reading:
    """Adds what the final regions mark, and the study's verdict."""
    lesion, volume = one.subject.lesion, one.subject.volume
    return replace(
        reading,
        region_marks=detections.count(
            regions > 0, lesion, evaluated=one.evaluated, voxel_ml=volume.voxel_ml
        ),
        study=studies.study(
            one.subject.name,
            regions,
            lesion,
            evaluated=one.evaluated,
            spacing_mm=volume.spacing_mm,
            mass_like=mass_like(found),
            score=None if found is None else found.study_score,
        ),
    )


def mass_like(found: Findings | None) -> bool | None:
    """Whether the verdict is a mass, where the calculation tells patterns apart."""
    pattern = getattr(found, "pattern", None)
    return None if pattern is None else bool(pattern.name == "MASS_LIKE")


def sheet(name: str, thresholds: Frozen, readings: Sequence[Reading]) -> Scoresheet:
    """One way of scoring over a group."""
    return Scoresheet(
        name=name,
        slice_threshold=thresholds.slice,
        slice_threshold_at_5_percent=thresholds.slice_at_5_percent,
        pixel_threshold=thresholds.pixel,
        patients=tuple(one.scores for one in readings),
    )

"""Condenses one examined subject to what the evaluation counts, for every way of scoring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agent.imaging import preprocess
from agent.imaging.results import Findings, Pattern
from model_training.calibrate import Frozen
from model_training.evaluation import detections, froc, scoresheets, studies
from model_training.evaluation.detections import Marks, Piece
from model_training.evaluation.examine import MODEL, Examined, Row
from model_training.evaluation.froc import Sweep
from model_training.evaluation.metrics import Floats, Labels
from model_training.evaluation.scoresheets import PatientScores, Scoresheet
from model_training.evaluation.studies import Study


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One subject under one way of scoring.

    `map_marks` are of the map above the pixel threshold, `region_marks` and `study` of the final
    regions; they and `sweep` are None where a way of scoring draws no map, the marks and the sweep
    also in subjects without a tumour. `p_values` (evaluated
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
    *,
    minimum_volume_ml: float,
    lesion_wise: bool,
) -> dict[str, Reading]:
    """One subject under every way of scoring; `found` is the model's whole calculation.

    `lesion_wise`: also count marks and sweep thresholds, which only patients need.
    """
    volume = one.subject.volume
    least_voxels = minimum_volume_ml / volume.voxel_ml
    pieces = detections.pieces(one.subject.lesion, volume.voxel_ml) if lesion_wise else []
    readings = {}
    for name, thresholds in frozen.items():
        row, own = rows[name], found if name == MODEL else None
        reading = Reading(
            scores=slice_reading(one, row, thresholds),
            p_values=None if own is None else own.slice_p_values[one.evaluated],
        )
        if row.anomaly_map is not None and thresholds.pixel is not None:
            regions = regions_of(row.anomaly_map, row, thresholds, own, least_voxels)
            reading = replace(reading, study=study(one, regions, own))
            if lesion_wise:
                above = row.anomaly_map > thresholds.pixel
                reading = replace(
                    reading,
                    map_marks=marks(one, above, pieces),
                    region_marks=marks(one, regions > 0, pieces),
                    sweep=froc.sweep(
                        row.anomaly_map,
                        one.subject.lesion,
                        pieces,
                        threshold=thresholds.pixel,
                        least_voxels=least_voxels,
                    ),
                )
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


def regions_of(
    anomaly_map: NDArray[np.float32],
    row: Row,
    thresholds: Frozen,
    found: Findings | None,
    least_voxels: float,
) -> NDArray[np.integer]:
    """The numbered regions of the shipped calculation, or a baseline's by the same rule."""
    if found is not None:
        return found.labels
    if thresholds.pixel is None:
        raise ValueError("Regions need a pixel threshold.")
    return detections.kept_regions(
        anomaly_map,
        thresholds.sign * row.slice_scores >= thresholds.slice,
        threshold=thresholds.pixel,
        least_voxels=least_voxels,
    )


def marks(one: Examined, marked: Labels, pieces: Sequence[Piece]) -> Marks:
    """Counts a mask against the expert's."""
    return detections.count(
        marked,
        one.subject.lesion,
        pieces,
        evaluated=one.evaluated,
        voxel_ml=one.subject.volume.voxel_ml,
    )


def study(one: Examined, regions: NDArray[np.integer], found: Findings | None) -> Study:
    """The verdict on the study; pattern and score only from the shipped calculation."""
    return studies.study(
        one.subject.name,
        regions,
        one.subject.lesion,
        evaluated=one.evaluated,
        spacing_mm=one.subject.volume.spacing_mm,
        mass_like=None if found is None else found.pattern is Pattern.MASS_LIKE,
        score=None if found is None else found.study_score,
    )


def sheet(name: str, thresholds: Frozen, readings: Sequence[Reading]) -> Scoresheet:
    """One way of scoring over a group."""
    return Scoresheet(
        name=name,
        slice_threshold=thresholds.slice,
        slice_threshold_at_5_percent=thresholds.slice_at_5_percent,
        pixel_threshold=thresholds.pixel,
        patients=tuple(one.scores for one in readings),
    )

"""The whole calculation: a volume, a model and thresholds in, findings or a reason out."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from agent.imaging import (
    acceptance,
    findings,
    pattern,
    preprocess,
    reformat,
    scoring,
    shape,
    traits,
)
from agent.imaging.findings import Thresholds
from agent.imaging.preprocess import ModelInput
from agent.imaging.results import Findings, NotAnalysed
from agent.imaging.scoring import Maps
from agent.imaging.volume import Volume
from agent.inference import AnomalyModel
from agent.model_toml import ModelDescription


def analyse(
    volume: Volume,
    model: AnomalyModel,
    thresholds: Thresholds,
    *,
    progress: Callable[[float], None] | None = None,
) -> Findings | NotAnalysed:
    """What the model finds in a volume, on the volume's own grid.

    Thin sagittal and coronal volumes are read as axial ones. The same input gives the same bytes on
    a CPU. `progress` is called with shares from 0 to 1.
    """
    turned = reformat.axial(volume)
    result = _analyse(turned, model, thresholds, progress or ignore)
    if turned is volume or isinstance(result, NotAnalysed):
        return result
    return reformat.on_source(result, volume)


def _analyse(
    volume: Volume,
    model: AnomalyModel,
    thresholds: Thresholds,
    report: Callable[[float], None],
) -> Findings | NotAnalysed:
    """What the model finds in axial slices."""
    described = model.description
    prepared = prepare(volume, model)
    report(0.2)
    if isinstance(prepared, NotAnalysed):
        return prepared
    sight = traits.look(volume, prepared)
    verdict = acceptance.judge(sight, described.acceptance, sequence=described.sequence)
    if verdict.refusal is not None:
        return verdict.refusal
    maps = run_in_batches(prepared, model, lambda share: report(0.2 + 0.6 * share))
    found = conclude(volume, prepared, maps, described, thresholds)
    report(1.0)
    return replace(found, remarks=verdict.remarks)


def prepare(volume: Volume, model: AnomalyModel) -> ModelInput | NotAnalysed:
    """The model's view of a volume, or the reason why there is none."""
    described = model.description
    return preprocess.prepare(
        volume, size=described.size, context=described.context, brain_net=model.find_brain
    )


def conclude(
    volume: Volume,
    prepared: ModelInput,
    maps: Maps,
    described: ModelDescription,
    thresholds: Thresholds,
) -> Findings:
    """From the model's maps to findings on the volume's grid."""
    scores = scoring.score(maps, prepared, described.fusion)
    anomaly_map = preprocess.to_source(scores.anomaly_map, prepared.geometry)
    slice_scores = preprocess.slices_to_source(scores.slice_scores, prepared.geometry)
    slice_anomalous = slice_scores >= thresholds.slice
    labels, regions = findings.regions(anomaly_map, slice_anomalous, volume, thresholds)
    shapes = shape.describe(labels, prepared)
    study_score = float(slice_scores.max())
    study_p = scoring.p_values(np.array([study_score]), described.study_reference)
    return Findings(
        anomaly_map=anomaly_map,
        labels=labels,
        slice_scores=slice_scores,
        slice_p_values=scoring.p_values(slice_scores, described.slice_reference),
        slice_anomalous=slice_anomalous,
        study_score=study_score,
        study_p_value=float(study_p[0]),
        pixel_threshold=thresholds.pixel,
        regions=pattern.judged(regions, shapes, described.pattern),
    )


def run_in_batches(
    prepared: ModelInput, model: AnomalyModel, report: Callable[[float], None]
) -> Maps:
    """The model's maps for all slices, with progress after each batch."""
    count = len(prepared.slices)
    parts = []
    for start in range(0, count, model.batch):
        chosen = slice(start, start + model.batch)
        parts.append(model.run(prepared.slices[chosen], prepared.positions[chosen]))
        report(min(1.0, (start + model.batch) / count))
    return scoring.joined(parts)


def ignore(share: float) -> None:
    """Progress that nobody watches."""
    del share

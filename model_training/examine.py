"""Scores one subject with the model and with the baselines it must beat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging import morphology, preprocess, scoring
from agent.imaging.preprocess import ModelInput
from agent.imaging.results import NotAnalysed
from agent.imaging.scoring import Fusion, Maps
from model_training import data, metrics
from model_training.data import Subject

MIN_HEAD_SHARE = 0.2  # of the frame: slices with less head are not evaluated
MODEL = "model"
BASELINES = ("slice position", "head area", "mean FLAIR", "FLAIR threshold in the brain")


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A subject with the model's maps, before any weight or threshold is chosen."""

    subject: Subject
    prepared: ModelInput
    maps: Maps
    labels: NDArray[np.bool_]
    evaluated: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way of scoring: a value a slice (source grid) and, where it draws one, its map's pixels
    counted by `metrics.pixel_counts`."""

    slice_scores: NDArray[np.float64]
    counts: NDArray[np.int64] | None


def examine(
    folders: Sequence[Path], answer: Callable[[ModelInput], Maps], *, size: int, context: int
) -> list[Examined]:
    """Reads, prepares and runs every subject."""
    found = []
    for folder in folders:
        subject = data.read_subject(folder)
        prepared = preprocess.prepare(subject.volume, size=size, context=context)
        if isinstance(prepared, NotAnalysed):
            raise ValueError(f"{folder} cannot be evaluated: {prepared.sentence}")
        share = preprocess.slices_to_source(prepared.head_share, prepared.geometry)
        found.append(
            Examined(
                subject=subject,
                prepared=prepared,
                maps=answer(prepared),
                labels=np.asarray(subject.lesion.any(axis=(1, 2))),
                evaluated=share > MIN_HEAD_SHARE,
            )
        )
    return found


def rows(examined: Examined, fusion: Fusion) -> dict[str, Row]:
    """The model, its two halves alone, and the baselines."""
    halves = {
        MODEL: fusion,
        "restoration residual alone": Fusion(map_feature_weight=0, score_feature_weight=0),
    }
    scored = {name: model_row(examined, weights) for name, weights in halves.items()}
    scored["discriminator features alone"] = features_row(examined)
    return scored | baseline_rows(examined)


def model_row(examined: Examined, fusion: Fusion) -> Row:
    """The shipped calculation."""
    scores = scoring.score(examined.maps, examined.prepared, fusion)
    return placed(examined, scores.anomaly_map, scores.slice_scores)


def features_row(examined: Examined) -> Row:
    """What the discriminator sees, without the residual."""
    maps, prepared = examined.maps, examined.prepared
    nothing = np.zeros_like(maps.residual)
    only = Maps(
        restoration=maps.restoration,
        residual=nothing,
        feature_distance=maps.feature_distance,
        residual_z=nothing,
        feature_z=maps.feature_z,
    )
    scores = scoring.score(only, prepared, Fusion(map_feature_weight=1, score_feature_weight=1))
    return placed(examined, scores.anomaly_map, scores.slice_scores)


def baseline_rows(examined: Examined) -> dict[str, Row]:
    """Position, area, brightness, and a threshold on brightness inside the same brain mask."""
    prepared = examined.prepared
    image = prepared.slices[:, prepared.slices.shape[1] // 2]
    inside = morphology.eroded(prepared.brain, scoring.EDGE_MM, prepared.spacing_mm)
    middle = ndimage.median_filter(image, size=(1, scoring.MEDIAN_PIXELS, scoring.MEDIAN_PIXELS))
    bright = np.where(inside, middle, 0).astype(np.float32)
    mean = np.array(
        [
            float(part[mask].mean()) if mask.any() else 0.0
            for part, mask in zip(image, prepared.brain, strict=True)
        ]
    )
    values = (
        prepared.positions.astype(np.float64),
        prepared.head_share,
        mean,
    )
    scored = {
        name: Row(slice_scores=preprocess.slices_to_source(value, prepared.geometry), counts=None)
        for name, value in zip(BASELINES[:3], values, strict=True)
    }
    tops = scoring.top_means(bright, inside, prepared)
    return scored | {BASELINES[3]: placed(examined, bright, tops)}


def placed(
    examined: Examined, anomaly_map: NDArray[np.float32], slice_scores: NDArray[np.float64]
) -> Row:
    """A row on the source grid, its pixels counted over the whole volume."""
    geometry = examined.prepared.geometry
    on_source = preprocess.to_source(anomaly_map, geometry)
    return Row(
        slice_scores=preprocess.slices_to_source(slice_scores, geometry),
        counts=metrics.pixel_counts(on_source, examined.subject.lesion),
    )

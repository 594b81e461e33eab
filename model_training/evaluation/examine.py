"""Scores one subject with the model and with the baselines it must beat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging import morphology, preprocess, scoring
from agent.imaging.brain import BrainNet
from agent.imaging.preprocess import ModelInput
from agent.imaging.results import NotAnalysed
from agent.imaging.scoring import Fusion, Kind, Maps
from model_training import collection
from model_training.collection import Member, Subject
from model_training.config import Recipe
from model_training.evaluation import metadata, metrics
from model_training.evaluation.metadata import Shortcut
from model_training.evaluation.slice_labels import slice_labels

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
    counted by `metrics.pixel_counts`. `anomaly_map` lies on the source grid."""

    slice_scores: NDArray[np.float64]
    counts: NDArray[np.int64] | None
    anomaly_map: NDArray[np.float32] | None


def examine(
    members: Sequence[Member],
    answer: Callable[[ModelInput], Maps],
    recipe: Recipe,
    brain_net: BrainNet,
) -> list[Examined]:
    """Reads, prepares and runs every subject."""
    found = []
    for member in members:
        subject = collection.read(member)
        prepared = preprocess.prepare(
            subject.volume, size=recipe.size, context=recipe.context, brain_net=brain_net
        )
        if isinstance(prepared, NotAnalysed):
            raise ValueError(f"{member.folder} cannot be evaluated: {prepared.sentence}")
        share = preprocess.slices_to_source(prepared.head_share, prepared.geometry)
        found.append(
            Examined(
                subject=subject,
                prepared=prepared,
                maps=answer(prepared),
                labels=slice_labels(subject),
                evaluated=share > MIN_HEAD_SHARE,
            )
        )
    return found


def rows(examined: Examined, fusion: Fusion, shortcut: Shortcut | None = None) -> dict[str, Row]:
    """The model, each kind of map alone, the model without the discriminator, the baselines; with
    a shortcut classifier also that one."""
    ways = {MODEL: fusion}
    for kind in Kind:
        if examined.maps.raw[:, list(Kind).index(kind)].any():
            ways[f"{kind} alone"] = alone(kind)
    ways["without discriminator features"] = without(fusion, Kind.FEATURES)
    scored = {name: model_row(examined, weights) for name, weights in ways.items()}
    scored |= baseline_rows(examined)
    return scored if shortcut is None else scored | {metadata.ROW: shortcut_row(examined, shortcut)}


def alone(kind: Kind) -> Fusion:
    """One kind of map and nothing else."""
    weights = tuple(float(other is kind) for other in Kind)
    return Fusion(map_weights=weights, score_weights=weights)


def without(fusion: Fusion, kind: Kind) -> Fusion:
    """The same weights, but for one kind."""

    def less(weights: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(
            0.0 if other is kind else weight for other, weight in zip(Kind, weights, strict=True)
        )

    return Fusion(map_weights=less(fusion.map_weights), score_weights=less(fusion.score_weights))


def model_row(examined: Examined, fusion: Fusion) -> Row:
    """The shipped calculation."""
    scores = scoring.score(examined.maps, examined.prepared, fusion)
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
        name: Row(
            slice_scores=preprocess.slices_to_source(value, prepared.geometry),
            counts=None,
            anomaly_map=None,
        )
        for name, value in zip(BASELINES[:3], values, strict=True)
    }
    tops = scoring.top_means(bright, inside, prepared)
    return scored | {BASELINES[3]: placed(examined, bright, tops)}


def shortcut_row(examined: Examined, shortcut: Shortcut) -> Row:
    """What position and size say; it draws no map."""
    found = metadata.scores(shortcut, metadata.features(examined.prepared))
    return Row(slice_scores=found, counts=None, anomaly_map=None)


def placed(
    examined: Examined, anomaly_map: NDArray[np.float32], slice_scores: NDArray[np.float64]
) -> Row:
    """A row on the source grid, its pixels counted over the whole volume."""
    geometry = examined.prepared.geometry
    on_source = preprocess.to_source(anomaly_map, geometry)
    return Row(
        slice_scores=preprocess.slices_to_source(slice_scores, geometry),
        counts=metrics.pixel_counts(on_source, examined.subject.lesion),
        anomaly_map=on_source,
    )

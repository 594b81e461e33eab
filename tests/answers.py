"""What a good model says about the phantom, and the records made of it."""

from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.imaging import pattern
from agent.imaging.pattern import PatternRule
from agent.imaging.results import Findings, Level, Region, Shape, Side
from agent.imaging.volume import Volume
from mr_headers import uid
from phantom import LESION_CENTRE_MM, LESION_RADIUS_MM
from storage import enums, records

CREATED_AT = datetime(2026, 3, 4, 5, 6, 7, 250000, tzinfo=UTC)


MASS = Shape(
    extent_mm=30.0,
    thickness_mm=28.0,
    compactness=0.9,
    asymmetry=1.0,
    contrast=0.6,
    ventricle_mm=12.0,
    near_ventricle=0.0,
    surface_mm=4.5,
    side=Side.LEFT,
    level=Level.MIDDLE,
)
WHITE_MATTER = Shape(
    extent_mm=15.0,
    thickness_mm=8.0,
    compactness=0.3,
    asymmetry=0.125,
    contrast=0.0625,
    ventricle_mm=1.5,
    near_ventricle=0.75,
    surface_mm=25.0,
    side=Side.RIGHT,
    level=Level.LOWER,
)
RULE = PatternRule(
    log_thickness=2.4,
    asymmetry=0.5,
    contrast=7.9,
    near_ventricle=-5.9,
    bias=-7.7,
    threshold=0.35,
)
"""Parts the two."""


def findings(of: Volume, *, abnormal: bool = True, mass_like: bool = True) -> Findings:
    """What a good model says about the phantom: the lesion, and a smaller false one behind it.

    The larger one looks like a mass unless it is not `mass_like`, the smaller one never does.
    """
    shape = of.voxels.shape
    grid = np.stack([*np.indices(shape, dtype=np.float64), np.ones(shape)])
    place = np.moveaxis(np.tensordot(of.affine[:3], grid, axes=1), 0, -1)
    anomaly = np.zeros(shape, dtype=np.float32)
    labels = np.zeros(shape, dtype=np.uint16)
    if abnormal:
        behind = np.add(LESION_CENTRE_MM, (-55.0, 30.0, -25.0))
        for number, (centre, radius) in enumerate(
            ((np.array(LESION_CENTRE_MM), LESION_RADIUS_MM), (behind, 8.0)), start=1
        ):
            distance = np.linalg.norm(place - centre, axis=-1)
            anomaly = np.maximum(anomaly, np.clip(1.6 - distance / radius, 0, None)).astype("f4")
            labels[distance <= radius] = number
    regions = tuple(
        region(of, anomaly, labels, number, mass_like=mass_like and number == 1)
        for number in range(1, labels.max() + 1)
    )
    scores = anomaly.max(axis=(1, 2)).astype(np.float64)
    return Findings(
        anomaly_map=anomaly,
        labels=labels,
        slice_scores=scores,
        slice_p_values=np.exp(-3.0 * scores),
        slice_anomalous=np.asarray(labels.any(axis=(1, 2)), dtype=np.bool_),
        study_score=float(scores.max()),
        study_p_value=float(np.exp(-3.0 * scores.max())),
        pixel_threshold=0.6,
        regions=regions,
    )


def region(
    of: Volume,
    anomaly: NDArray[np.float32],
    labels: NDArray[np.uint16],
    number: int,
    *,
    mass_like: bool = True,
) -> Region:
    mask = labels == number
    widest = int(mask.sum(axis=(1, 2)).argmax())
    centre = tuple(float(axis.mean()) for axis in np.nonzero(mask))
    area = float(mask[widest].sum()) * of.spacing_mm[1] * of.spacing_mm[2]
    return Region(
        number=number,
        volume_ml=float(mask.sum()) * of.voxel_ml,
        diameter_mm=2.0 * float(np.sqrt(area / np.pi)),
        centroid_mm=of.position_mm((centre[0], centre[1], centre[2])),
        peak_score=float(anomaly[mask].max()),
        mean_score=float(anomaly[mask].mean()),
        slice_index=widest,
        shape=MASS if mass_like else WHITE_MATTER,
        mass_score=0.9 if mass_like else 0.1,
        mass_like=mass_like,
    )


def analysis(answer: Findings | None, *, series_uid: str | None = None) -> records.Analysis:
    """The stored record of an answer; None stands for a study that was not analysed."""
    outcome = enums.Outcome.NOT_ANALYSED
    if answer is not None:
        abnormal = enums.Outcome.ABNORMAL
        outcome = abnormal if answer.abnormal else enums.Outcome.NO_ABNORMALITY
    missing = answer is None
    spread = None if answer is None else pattern.spread(answer.regions)
    return records.Analysis(
        outcome=outcome,
        reason_code="NO_SUITABLE_SERIES" if missing else None,
        reason="No axial T2-FLAIR series of the head was found." if missing else None,
        series_uid=records.SeriesUid(series_uid) if series_uid else None,
        study_score=None if answer is None else answer.study_score,
        study_p_value=None if answer is None else answer.study_p_value,
        slice_scores=() if answer is None else tuple(map(float, answer.slice_scores)),
        slice_p_values=() if answer is None else tuple(map(float, answer.slice_p_values)),
        pattern=None if answer is None else enums.Pattern(answer.pattern.value),
        symmetry=None if spread is None else spread.symmetry,
        near_ventricle=None if spread is None else spread.near_ventricle,
        model_name="restorer",
        model_version="1.0.0",
        model_sha256="a" * 64,
        threshold_version="1",
        input_sha256="b" * 64,
        runtime="onnxruntime 1.28 CPUExecutionProvider",
        code_version="0.1.0",
        created_at=CREATED_AT,
    )


def lesions(answer: Findings) -> tuple[records.Lesion, ...]:
    """The stored record of the regions of an answer."""
    return tuple(map(lesion, answer.regions))


def lesion(region: Region) -> records.Lesion:
    """The stored record of one region; nothing is known of a shape that was not measured."""
    unknown: dict[str, Any] = dict.fromkeys((field.name for field in fields(Shape)), None)
    described = asdict(region.shape) if region.shape else unknown
    side, level = described.pop("side"), described.pop("level")
    return records.Lesion(
        number=region.number,
        tracking_uid=uid("lesion", region.number),
        volume_ml=region.volume_ml,
        diameter_mm=region.diameter_mm,
        centroid_mm=region.centroid_mm,
        peak_score=region.peak_score,
        mean_score=region.mean_score,
        slice_index=region.slice_index,
        mass_like=region.mass_like,
        mass_score=region.mass_score,
        side=enums.Side(side) if side else None,
        level=enums.Level(level) if level else None,
        **described,
    )

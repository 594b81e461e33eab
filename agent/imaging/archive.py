"""Findings as bytes and back, so that results can be built and built again from what was stored."""

import io
import json
from dataclasses import asdict
from typing import Any

import numpy as np

from agent.imaging.results import Findings, Level, Region, Shape, Side


def to_bytes(findings: Findings) -> bytes:
    """Pack findings into one compressed NumPy archive without pickles."""
    numbers = {
        "study_score": findings.study_score,
        "study_p_value": findings.study_p_value,
        "pixel_threshold": findings.pixel_threshold,
        "regions": [asdict(region) for region in findings.regions],
        "remarks": findings.remarks,
    }
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        anomaly_map=findings.anomaly_map,
        labels=findings.labels,
        slice_scores=findings.slice_scores,
        slice_p_values=findings.slice_p_values,
        slice_anomalous=findings.slice_anomalous,
        numbers=np.frombuffer(json.dumps(numbers).encode(), dtype=np.uint8),
    )
    return buffer.getvalue()


def from_bytes(data: bytes) -> Findings:
    """Unpack what `to_bytes` made."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        numbers = json.loads(arrays["numbers"].tobytes())
        return Findings(
            anomaly_map=arrays["anomaly_map"],
            labels=arrays["labels"],
            slice_scores=arrays["slice_scores"],
            slice_p_values=arrays["slice_p_values"],
            slice_anomalous=arrays["slice_anomalous"],
            study_score=numbers["study_score"],
            study_p_value=numbers["study_p_value"],
            pixel_threshold=numbers["pixel_threshold"],
            regions=tuple(_region(values) for values in numbers["regions"]),
            remarks=tuple(numbers.get("remarks", ())),  # missing in older archives
        )


def _region(values: dict[str, Any]) -> Region:
    shape = values.get("shape")  # missing in archives from before regions were described
    plain = values | {"shape": _shape(shape) if shape else None}
    return Region(**plain | {"centroid_mm": tuple(values["centroid_mm"])})  # JSON has lists only


def _shape(values: dict[str, Any]) -> Shape:
    side, level = values.get("side"), values.get("level")  # missing in older archives
    words = {"side": Side(side) if side else None, "level": Level(level) if level else None}
    return Shape(**values | words)

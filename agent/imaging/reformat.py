"""Thin sagittal and coronal volumes as axial ones, and what was found brought back.

A 3D FLAIR is mostly acquired sagittally, about 1 mm in every direction. Turning its axes makes an
axial volume of the same voxels: nothing is interpolated.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agent.imaging.results import Findings, Region
from agent.imaging.volume import Volume

THICKEST_MM = 2.0  # slices further apart make axial planes too coarse to be read


def axial(volume: Volume) -> Volume:
    """The same voxels as axial slices; the volume itself where it has such, or is too coarse."""
    axis = slice_axis(volume)
    if axis == 0 or max(volume.spacing_mm) > THICKEST_MM:
        return volume
    order = _order(axis)
    voxels = np.ascontiguousarray(volume.voxels.transpose(order))
    return Volume(
        voxels=voxels,
        affine=volume.affine[:, [*order, 3]],
        sources=tuple(f"axial {number}" for number in range(1, len(voxels) + 1)),
        frame_of_reference_uid=volume.frame_of_reference_uid,
    )


def slice_axis(volume: Volume) -> int:
    """The array axis that runs closest to the head-foot direction."""
    steps = volume.affine[:3, :3]
    lengths = np.linalg.norm(steps, axis=0)
    return int(np.argmax(np.abs(steps[2]) / np.where(lengths > 0, lengths, np.inf)))


def on_source(findings: Findings, source: Volume) -> Findings:
    """Findings of `axial(source)` on the grid of the source.

    A source slice that is not axial gets the highest score (and its p-value) among the axial
    planes in which something of it passes the pixel threshold, and where nothing does the lowest;
    it is anomalous where a region lies in it. Diameters stay axial.
    """
    axis = slice_axis(source)
    back = tuple(int(place) for place in np.argsort(_order(axis)))
    anomaly = np.ascontiguousarray(findings.anomaly_map.transpose(back))
    labels = np.ascontiguousarray(findings.labels.transpose(back))
    planes = _best_planes(anomaly > findings.pixel_threshold, axis, findings.slice_scores)
    return replace(
        findings,
        anomaly_map=anomaly,
        labels=labels,
        slice_scores=findings.slice_scores[planes],
        slice_p_values=findings.slice_p_values[planes],
        slice_anomalous=np.asarray(labels.any(axis=(1, 2)), dtype=np.bool_),
        regions=tuple(_region(region, labels) for region in findings.regions),
    )


def _order(axis: int) -> tuple[int, int, int]:
    """The axes with `axis` first and the others in their order; `axis` is not 0."""
    return (axis, 0, 3 - axis)


def _best_planes(
    passing: NDArray[np.bool_], axis: int, scores: NDArray[np.float64]
) -> NDArray[np.int64]:
    """For each source slice the axial plane whose score it gets."""
    met = np.any(passing, axis=3 - axis)  # [source slice, axial plane]
    ranked = np.where(met, scores, -np.inf)
    best = ranked.argmax(axis=1)
    return np.where(met.any(axis=1), best, int(scores.argmin()))


def _region(region: Region, labels: NDArray[np.uint16]) -> Region:
    areas = (labels == region.number).sum(axis=(1, 2))
    return replace(region, slice_index=int(areas.argmax()))

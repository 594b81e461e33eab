"""Contexts of analysed phantoms and of real studies, ready to build result objects from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy import ndimage

import builders
from agent.dicom.frames import Frame
from agent.dicom.objects.context import ResultContext
from agent.dicom.volumes import LoadedSeries
from agent.imaging.results import Findings
from agent.imaging.volume import Volume
from storage import records


@dataclass(frozen=True, kw_only=True)
class Analysed:
    """An analysed series with everything that was said about it."""

    context: ResultContext
    findings: Findings
    volume: Volume


def analysed(
    datasets: Sequence[Dataset], *, abnormal: bool = True, mass_like: bool = True
) -> Analysed:
    """A series of the phantom builders, analysed."""
    volume = builders.volume(datasets)
    answer = builders.findings(volume, abnormal=abnormal, mass_like=mass_like)
    return of_answer(datasets, volume, answer)


def of_answer(datasets: Sequence[Dataset], volume: Volume, answer: Findings) -> Analysed:
    """A series with the answer given."""
    return Analysed(context=_context(datasets, answer), findings=answer, volume=volume)


def marked(
    datasets: Sequence[Dataset],
    volume: Volume,
    anomaly: NDArray[np.float32],
    labels: NDArray[np.uint16],
) -> Analysed:
    """A series in which one region was found, label 1."""
    scores = anomaly.max(axis=(1, 2)).astype(np.float64)
    answer = Findings(
        anomaly_map=anomaly,
        labels=labels,
        slice_scores=scores,
        slice_p_values=np.exp(-scores),
        slice_anomalous=np.asarray(labels.any(axis=(1, 2)), dtype=np.bool_),
        study_score=float(scores.max()),
        study_p_value=0.01,
        pixel_threshold=1.0,
        regions=(builders.region(volume, anomaly, labels, 1),),
    )
    return Analysed(context=_context(datasets, answer), findings=answer, volume=volume)


def unmarked(case: Analysed) -> Analysed:
    """The same series in which nothing was found."""
    answer = replace(
        case.findings,
        anomaly_map=np.zeros_like(case.findings.anomaly_map),
        labels=np.zeros_like(case.findings.labels),
        regions=(),
    )
    return Analysed(
        context=_context(case.context.study, answer), findings=answer, volume=case.volume
    )


def not_analysed(datasets: Sequence[Dataset]) -> ResultContext:
    """A study in which no series could be read."""
    return ResultContext(
        study=tuple(datasets),
        source=None,
        analysis=builders.analysis(None),
        lesions=(),
        decisions=(_decision(datasets[0], chosen=False),),
        completion_evidence="No image came for 10 s.",
        namespace=builders.NAMESPACE,
    )


def encoded(dataset: Dataset) -> bytes:
    """The bytes of the DICOM file that holds a data set."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def points_mm(mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """LPS mm of the voxels of a mask `[slice, row, column]`, in a fixed order."""
    points = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    return in_order(points)


def in_order(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points sorted by coordinates rounded to 0.01 mm."""
    rounded = np.round(points, 2) + 0.0
    return rounded[np.lexsort(rounded.T)]


def _context(datasets: Sequence[Dataset], answer: Findings) -> ResultContext:
    return ResultContext(
        study=tuple(datasets),
        source=builders.source(datasets),
        analysis=builders.analysis(answer, series_uid=datasets[0].SeriesInstanceUID),
        lesions=builders.lesions(answer),
        decisions=(_decision(datasets[0], chosen=True),),
        completion_evidence="The sender released the association and 10 s passed.",
        namespace=builders.NAMESPACE,
    )


def _decision(dataset: Dataset, *, chosen: bool) -> records.SeriesDecision:
    return records.SeriesDecision(
        series_uid=records.SeriesUid(str(dataset.SeriesInstanceUID)),
        number=int(Frame(dataset).number_of("SeriesNumber") or 0),
        modality="MR",
        instance_count=24,
        chosen=chosen,
        reason="axial T2-FLAIR of the head" if chosen else "no inversion recovery",
    )


def of_loaded(loaded: LoadedSeries) -> Analysed:
    """A real FLAIR series with its bright tissue marked: a stand-in for a model's answer."""
    voxels = loaded.volume.voxels
    tissue = float(np.median(voxels[voxels > voxels.mean()]))
    anomaly = np.clip(ndimage.gaussian_filter(voxels, (0, 2, 2)) / tissue - 1.0, 0, None)
    anomaly[:, :60] = anomaly[:, -60:] = anomaly[..., :60] = anomaly[..., -60:] = 0
    parts, count = ndimage.label(anomaly > 0.3)
    sizes = ndimage.sum_labels(np.ones_like(parts), parts, np.arange(1, count + 1))
    labels = (parts == 1 + int(np.argmax(sizes))).astype(np.uint16)
    scores = anomaly.max(axis=(1, 2)).astype(np.float64)
    answer = Findings(
        anomaly_map=anomaly.astype(np.float32),
        labels=labels,
        slice_scores=scores,
        slice_p_values=np.exp(-scores),
        slice_anomalous=np.asarray(labels.any(axis=(1, 2)), dtype=np.bool_),
        study_score=float(scores.max()),
        study_p_value=0.01,
        pixel_threshold=0.3,
        regions=(builders.region(loaded.volume, anomaly.astype(np.float32), labels, 1),),
    )
    context = _context(loaded.source.datasets, answer)
    return Analysed(
        context=replace(context, source=loaded.source), findings=answer, volume=loaded.volume
    )

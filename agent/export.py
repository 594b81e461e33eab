"""What `neurosieve analyse` writes: slice table, study summary, maps and overlays."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from agent import readers
from agent.imaging import edges, pattern
from agent.imaging.render import Painter
from agent.imaging.results import Findings, NotAnalysed, Pattern
from agent.imaging.volume import Volume
from agent.imaging.window import Window
from agent.inference import AnomalyModel
from storage.enums import Outcome

DICOM_COLUMN = "sop_instance_uid"

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One volume and what the model said about it; no volume where none could be read.

    `windows` are the grey windows that its source states.
    """

    volume: Volume | None
    result: Findings | NotAnalysed
    windows: tuple[Window, ...] = ()


def write(
    out: Path,
    answers: Sequence[Answer],
    model: AnomalyModel,
    *,
    source_column: str,
    like: Path | None = None,
    note: str = "",
) -> None:
    """Write everything that does not need DICOM.

    Several answers (single 2D images) are stacked in their order, smaller ones padded at the right
    and lower edge. `source_column` names what the slices' sources are: `sop_instance_uid` or
    `file`. `like` is the NIfTI file a volume came from, so that the maps lie on its grid.
    """
    out.mkdir(parents=True, exist_ok=True)
    _write_slices(out / "slices.csv", answers, source_column)
    summary = summarise(answers, model, note=note)
    (out / "study.json").write_text(f"{json.dumps(summary, indent=2)}\n", encoding="utf-8")
    if any(isinstance(answer.result, Findings) for answer in answers):
        _write_maps(out, answers, like)  # never empty maps: they would read as "nothing found"
        is_placed = like is not None or source_column == DICOM_COLUMN
        _write_overlays(out / "overlay", answers, is_placed=is_placed)


def summarise(answers: Sequence[Answer], model: AnomalyModel, *, note: str) -> dict[str, object]:
    """The study in one JSON object. Without findings scores and pattern are None, lesions empty."""
    found = [answer.result for answer in answers if isinstance(answer.result, Findings)]
    refused = [answer.result for answer in answers if isinstance(answer.result, NotAnalysed)]
    spread = pattern.spread([region for one in found for region in one.regions])
    highest = max(found, key=lambda one: one.study_score, default=None)
    description = model.description
    return {
        "outcome": _outcome(found).value,
        "pattern": _pattern(found),
        "study_score": highest.study_score if highest else None,
        "study_p_value": highest.study_p_value if highest else None,
        "slices": sum(len(one.slice_scores) for one in found),
        "anomalous_slices": sum(int(one.slice_anomalous.sum()) for one in found),
        "lesions": [asdict(region) for one in found for region in one.regions],
        "spread": asdict(spread) if spread else None,
        "remarks": sorted({remark for one in found for remark in one.remarks}),
        "not_analysed": [{"reason": one.reason, "sentence": one.sentence} for one in refused],
        "model": {
            "name": description.name,
            "version": description.version,
            "sha256": description.digest,
            "thresholds": asdict(description.thresholds),
            "runtime": model.runtime,
        },
        "note": note,
        "use": "RESEARCH USE ONLY",
    }


def _outcome(found: Sequence[Findings]) -> Outcome:
    if not found:
        return Outcome.NOT_ANALYSED
    return Outcome.ABNORMAL if any(one.abnormal for one in found) else Outcome.NO_ABNORMALITY


def _pattern(found: Sequence[Findings]) -> Pattern | None:
    """The gravest one of several images, None where none was analysed."""
    grave = (Pattern.MASS_LIKE, Pattern.WHITE_MATTER, Pattern.NONE)
    return min((one.pattern for one in found), key=grave.index, default=None)


def _write_slices(path: Path, answers: Sequence[Answer], source_column: str) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("index", source_column, "score", "p_value", "anomalous"))
        for index, (volume, result, slice_index) in enumerate(_slices(answers)):
            writer.writerow((index, volume.sources[slice_index], *_cells(result, slice_index)))


def _cells(result: Findings | NotAnalysed, index: int) -> tuple[str, str, str]:
    if isinstance(result, NotAnalysed):
        return "", "", ""
    return (
        f"{result.slice_scores[index]:.6g}",
        f"{result.slice_p_values[index]:.6g}",
        str(int(result.slice_anomalous[index])),
    )


def _slices(answers: Sequence[Answer]) -> Iterator[tuple[Volume, Findings | NotAnalysed, int]]:
    for answer in answers:
        if answer.volume is not None:
            for index in range(len(answer.volume.voxels)):
                yield answer.volume, answer.result, index


def _write_maps(out: Path, answers: Sequence[Answer], like: Path | None) -> None:
    volumes = [answer.volume for answer in answers if answer.volume is not None]
    rows = max(volume.voxels.shape[1] for volume in volumes)
    columns = max(volume.voxels.shape[2] for volume in volumes)
    maps, masks = [], []
    for answer in answers:
        if answer.volume is not None:
            anomaly, labels = _arrays(answer.result, answer.volume)
            maps.append(_padded(anomaly, rows, columns))
            masks.append(_padded(labels, rows, columns))
    grid = Volume(
        voxels=np.concatenate(maps),
        affine=volumes[0].affine,
        sources=tuple(source for volume in volumes for source in volume.sources),
    )
    readers.write_nifti(out / "anomaly.nii.gz", grid.voxels, grid, like)
    readers.write_nifti(out / "mask.nii.gz", np.concatenate(masks), grid, like)


def _arrays(
    result: Findings | NotAnalysed, volume: Volume
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    if isinstance(result, Findings):
        return result.anomaly_map, result.labels
    shape = volume.voxels.shape
    return np.full(shape, np.nan, np.float32), np.zeros(shape, np.uint16)


def _padded(array: NDArray[Number], rows: int, columns: int) -> NDArray[Number]:
    beside = [(0, 0), (0, rows - array.shape[1]), (0, columns - array.shape[2])]
    return np.pad(array, beside)


def _write_overlays(folder: Path, answers: Sequence[Answer], *, is_placed: bool) -> None:
    """`is_placed`: whether the volumes lie in a patient, and not just as 2D images usually do."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.png"):  # of an earlier run
        old.unlink()
    number = 0
    for answer in answers:
        if answer.volume is None:
            continue
        if isinstance(answer.result, Findings):
            painter = Painter(
                answer.volume,
                answer.result,
                windows=answer.windows,
                edges=_edges(answer.volume) if is_placed else None,
                is_measured=is_placed,
            )
            for index in range(len(answer.volume.voxels)):
                painter.picture(index).save(folder / f"{number + index:04d}.png")
        number += len(answer.volume.voxels)


def _edges(volume: Volume) -> edges.Edges:
    _, down, along = volume.spacing_mm
    return edges.around(volume.affine[:3, 2] / along, volume.affine[:3, 1] / down)

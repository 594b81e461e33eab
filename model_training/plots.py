"""The figures of a model card. They show images and the model's marks, never expert masks."""

import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from agent import pipeline
from agent.imaging import preprocess
from agent.imaging.results import Findings
from agent.inference import AnomalyModel
from model_training import metrics
from model_training.calibrate import Calibration, pooled
from model_training.examine import MODEL, Examined, Row

DOTS_PER_INCH = 80
AVERAGED_STEPS = 25


def save(figure: Figure, path: Path) -> None:
    """Writes a figure and lets it go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS_PER_INCH, bbox_inches="tight")
    plt.close(figure)


def losses(table: Path, path: Path) -> None:
    """Restoration losses, the hinge, and how far real and fake patches are apart."""
    mpl.use("Agg")
    with table.open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    columns = {name: np.array([float(line[name]) for line in lines]) for name in lines[0]}
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 3.6))
    draw_averages(left, columns, ("reconstruction", "dissimilarity"))
    left.set_yscale("log")
    draw_averages(middle, columns, ("hinge", "adversarial"))
    middle.axhline(2.0, color="grey", linestyle=":", label="hinge that learns nothing")
    draw_averages(right, columns, ("real_logit", "fake_logit"))
    for axes in (left, middle, right):
        axes.set_xlabel("step")
        axes.legend()
    save(figure, path)


def draw_averages(
    axes: Axes, columns: dict[str, NDArray[np.float64]], names: Sequence[str]
) -> None:
    """Running means of some columns."""
    count = min(AVERAGED_STEPS, len(columns["step"]))
    kernel = np.ones(count) / count
    for name in names:
        smooth = np.convolve(columns[name], kernel, mode="valid")
        axes.plot(columns["step"][: len(smooth)] + count / 2, smooth, label=name)


def distribution(
    patients: Sequence[Examined], rows: Sequence[Row], threshold: float, path: Path
) -> None:
    """Slice scores with and without tumour, and the frozen threshold."""
    scores, labels = pooled(patients, rows)
    figure, axes = plt.subplots(figsize=(6, 3.6))
    bins = np.linspace(0, float(np.quantile(scores, 0.995)), 50).tolist()
    axes.hist(scores[~labels], bins, alpha=0.6, label=f"no tumour ({int((~labels).sum())})")
    axes.hist(scores[labels], bins, alpha=0.6, label=f"tumour ({int(labels.sum())})")
    axes.axvline(threshold, color="black", linestyle="--", label="frozen threshold")
    axes.set_xlabel("slice score")
    axes.set_ylabel("slices")
    axes.legend()
    save(figure, path)


def curves(
    patients: Sequence[Examined],
    scored: Sequence[dict[str, Row]],
    calibration: Calibration,
    folder: Path,
) -> None:
    """ROC and precision-recall of every way of scoring."""
    roc, roc_axes = plt.subplots(figsize=(5, 5))
    recall_figure, recall_axes = plt.subplots(figsize=(5, 5))
    for name, frozen in calibration.rows.items():
        scores, labels = pooled(patients, [rows[name] for rows in scored])
        order = np.argsort(-frozen.sign * scores, kind="stable")
        hits, misses = np.cumsum(labels[order]), np.cumsum(~labels[order])
        width = 2.5 if name == MODEL else 1.0
        area = metrics.auroc(frozen.sign * scores, labels)
        roc_axes.plot(
            misses / misses[-1], hits / hits[-1], linewidth=width, label=f"{name} {area:.3f}"
        )
        recall_axes.plot(hits / hits[-1], hits / (hits + misses), linewidth=width, label=name)
    roc_axes.set(xlabel="false-positive rate", ylabel="sensitivity")
    recall_axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    roc_axes.legend(fontsize=7)
    recall_axes.legend(fontsize=7)
    save(roc, folder / "roc.png")
    save(recall_figure, folder / "precision_recall.png")


def montage(
    patients: Sequence[Examined], model: AnomalyModel, chosen: Sequence[tuple[int, int]], path: Path
) -> None:
    """For each (patient, slice): image, restoration, anomaly map, marked regions."""
    titles = ("input", "restoration", "anomaly map", "marked")
    figure, grid = plt.subplots(
        len(chosen), 4, figsize=(8, 2.05 * len(chosen)), squeeze=False, layout="constrained"
    )
    for place, (patient, index) in enumerate(chosen):
        one = patients[patient]
        found = pipeline.conclude(
            one.subject.volume,
            one.prepared,
            one.maps,
            model.description,
            model.description.thresholds,
        )
        draw_slice(list(grid[place]), one, found, index)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=9)
    save(figure, path)


def draw_slice(axes: Sequence[Axes], one: Examined, found: Findings, index: int) -> None:
    """One row of a montage."""
    image = one.subject.volume.voxels[index]
    restored = preprocess.to_source(one.maps.restoration, one.prepared.geometry)[index]
    top = float(np.percentile(image, 99.7))
    axes[0].imshow(image, cmap="gray", vmin=0, vmax=top)
    axes[1].imshow(restored, cmap="gray", vmin=0, vmax=1)
    limit = 3 * found.pixel_threshold
    axes[2].imshow(found.anomaly_map[index], cmap="inferno", vmin=0, vmax=limit)
    axes[3].imshow(image, cmap="gray", vmin=0, vmax=top)
    marked = found.labels[index] > 0
    if marked.any():
        axes[3].contour(marked, [0.5], colors="red", linewidths=0.8)
    axes[0].set_ylabel(f"score {found.slice_scores[index]:.1f}", fontsize=8)
    for part in axes:
        part.set_xticks([])
        part.set_yticks([])


def typical_slices(patients: Sequence[Examined]) -> list[tuple[int, int]]:
    """The slice with most tumour of every second patient."""
    return [
        (i, int(np.argmax(one.subject.lesion.sum(axis=(1, 2)))))
        for i, one in enumerate(patients)
        if i % 2 == 0
    ]


def failures(
    patients: Sequence[Examined], rows: Sequence[Row], count: int
) -> list[tuple[int, int]]:
    """The lowest scored large tumours and the highest scored tumour-free slices."""
    missed, alarmed = [], []
    for i, (one, row) in enumerate(zip(patients, rows, strict=True)):
        area = one.subject.lesion.sum(axis=(1, 2))
        for index in np.flatnonzero(one.evaluated):
            score = float(row.slice_scores[index])
            if area[index] > 0.5 * area.max():
                missed.append((score, i, int(index)))
            elif area[index] == 0:
                alarmed.append((-score, i, int(index)))
    return [
        (i, index)
        for ranked in (sorted(missed), sorted(alarmed))
        for _, i, index in one_each(ranked)[:count]
    ]


def one_each(ranked: Sequence[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
    """The first entry of each patient."""
    seen: set[int] = set()
    first = []
    for entry in ranked:
        if entry[1] not in seen:
            seen.add(entry[1])
            first.append(entry)
    return first

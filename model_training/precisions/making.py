"""From a model folder to one of its precisions inside it: graphs, thresholds, accuracy beside fp32.

Graphs are quantised by what training subjects show; thresholds and figures come from calibration
patients; test patients are not opened.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tomlkit
from numpy.typing import NDArray

from agent import inference, model_toml
from agent.imaging import preprocess
from agent.imaging.brain import Image
from agent.imaging.results import NotAnalysed
from agent.inference import OnnxModel, Provider
from agent.model_toml import Precision
from model_training import calibrate, collection, data, export, files
from model_training.collection import Member
from model_training.config import Recipe
from model_training.evaluation import examine
from model_training.precisions import accuracy, half, lean, quantise
from model_training.precisions.accuracy import Calibrating
from model_training.precisions.quantise import Feeds

REPORT_FILE = "precision.md"
SUBJECTS = 24  # of the training split, whose slices show how large values become
SLICES = 8  # of each


def make(folder: Path, data_folder: Path, recipe: Recipe, wanted: Precision) -> str:
    """Writes `folder/<precision>` and returns its table of accuracy.

    Raises ValueError, and leaves nothing behind, where too much accuracy is lost or the precision
    does not run on this machine.
    """
    base = inference.load(folder)
    if base.description.precision is not Precision.FP32 or wanted is Precision.FP32:
        raise ValueError(f"{wanted} is made of fp32; {folder} is {base.description.precision}.")
    target, partial = folder / wanted, folder / f".{wanted}.part"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        write_graphs(folder, partial, base, recipe, data_folder, wanted)
        text = calibrated(folder, partial, base, recipe, data_folder, wanted)
        shutil.rmtree(target, ignore_errors=True)
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return text


def write_graphs(
    folder: Path,
    partial: Path,
    base: OnnxModel,
    recipe: Recipe,
    data_folder: Path,
    wanted: Precision,
) -> None:
    """Both graphs in the wanted precision."""
    graph, brain = folder / inference.GRAPH_FILE, folder / inference.BRAIN_FILE
    lean_graph = partial / inference.LEAN_FILE
    if not lean.write(graph, lean_graph, base.description.fusion):
        files.copy(graph, lean_graph)
    targets = partial / inference.GRAPH_FILE, partial / inference.BRAIN_FILE
    sources = lean_graph, brain
    if wanted is Precision.INT8:
        shown = shown_by(chosen(data.training_members(data_folder, recipe)), base)
        for source, target, feeds in zip(sources, targets, shown, strict=True):
            quantise.write(source, target, feeds)
    else:
        write = half.write if wanted is Precision.FP16 else files.copy
        for source, target in zip(sources, targets, strict=True):
            write(source, target)
    lean_graph.unlink()


def chosen(members: Sequence[Member]) -> list[Member]:
    """Some subjects, from all collections alike."""
    places = np.linspace(0, len(members) - 1, min(SUBJECTS, len(members))).astype(int)
    return [members[place] for place in places]


def shown_by(members: Sequence[Member], base: OnnxModel) -> tuple[Feeds, Feeds]:
    """What both graphs read of some slices of each subject, lesions and all."""
    for_model: list[Mapping[str, NDArray[np.float32]]] = []
    for_brain: list[Mapping[str, NDArray[np.float32]]] = []
    views: list[Image] = []

    def watched(slices: Image) -> Image:
        views.append(slices)
        return base.find_brain(slices)

    grid = base.description
    for member in members:
        prepared = preprocess.prepare(
            collection.read(member).volume,
            size=grid.size,
            context=grid.context,
            brain_net=watched,
        )
        if isinstance(prepared, NotAnalysed):
            raise ValueError(f"{member.folder} cannot be read: {prepared.sentence}")
        some = np.linspace(0, len(prepared.slices) - 1, SLICES).astype(int)
        for_model.append({"slices": prepared.slices[some], "position": prepared.positions[some]})
        for_brain += [{"slices": one[some]} for one in views]
        views.clear()
    return for_model, for_brain


def calibrated(
    folder: Path,
    partial: Path,
    base: OnnxModel,
    recipe: Recipe,
    data_folder: Path,
    wanted: Precision,
) -> str:
    """Describes the folder with thresholds of its own, and returns the table of accuracy."""
    file = partial / model_toml.FILE_NAME
    text = described(folder, partial, wanted)
    file.write_text(text, encoding="utf-8")
    model = inference.load(partial, provider=provider_of(wanted))
    before, now = (accuracy.examine_all(data_folder, recipe, one) for one in (base, model))
    file.write_text(with_thresholds(text, now, model), encoding="utf-8")
    ours = accuracy.measure(now, model.under(model_toml.describe(partial)))
    theirs = accuracy.measure(before, base)
    found = accuracy.as_markdown(ours, theirs)
    if accuracy.lost(accuracy.differences(ours, theirs)):
        raise ValueError(
            f"{wanted} loses more than {accuracy.MOST_LOST} of slice AUROC or pixel average "
            f"precision, or these patients do not tell; it was not kept.\n\n{found}"
        )
    label = f"{model.description.name} {model.description.version}"
    (partial / REPORT_FILE).write_text(
        f"# {label} beside fp32\n\nWritten by `neurosieve-train precision {wanted}`; run by "
        f"{model.runtime} and {base.runtime}.\n\n{found}\n",
        encoding="utf-8",
    )
    return found


def provider_of(wanted: Precision) -> Provider:
    """Where a precision is measured; on a processor TF32 would be fp32 under another name."""
    return Provider.CPU if wanted is Precision.INT8 else Provider.CUDA


def described(folder: Path, partial: Path, wanted: Precision) -> str:
    """The fp32 model's description, but for the graphs."""
    text = (folder / model_toml.FILE_NAME).read_text(encoding="utf-8")
    made = tomlkit.parse(text.replace("neurosieve-train export", "neurosieve-train precision", 1))
    model, brain = made["model"], made["brain"]
    assert isinstance(model, dict)
    assert isinstance(brain, dict)
    model["version"] = f"{model['version']}+{wanted}"
    model["precision"] = str(wanted)
    model["fp32_sha256"] = model["sha256"]
    model.pop("lean_sha256", None)
    model["sha256"] = export.digest(partial / inference.GRAPH_FILE)
    brain["sha256"] = export.digest(partial / inference.BRAIN_FILE)
    return tomlkit.dumps(made)


def with_thresholds(text: str, groups: Calibrating, model: OnnxModel) -> str:
    """A description with the thresholds and references that this precision's scores ask for."""
    rows = [examine.model_row(one, model.description.fusion) for one in groups.patients]
    frozen = calibrate.freeze(groups.patients, rows)
    scores, labels = calibrate.pooled(groups.patients, rows)
    studies = [
        float(examine.model_row(one, model.description.fusion).slice_scores.max())
        for one in groups.tumour_free
    ]
    made = tomlkit.parse(text)
    limits, reference = made["thresholds"], made["reference"]
    assert isinstance(limits, dict)
    assert isinstance(reference, dict)
    limits["pixel"], limits["slice"] = frozen.pixel, frozen.slice
    reference["slice_scores"] = [round(float(score), 3) for score in np.sort(scores[~labels])]
    reference["study_scores"] = [round(score, 3) for score in sorted(studies)]
    return tomlkit.dumps(made)

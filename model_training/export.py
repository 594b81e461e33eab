"""Writes a model folder: one ONNX file, checked against torch, and its description."""

import hashlib
import subprocess
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from agent import inference, model_toml
from agent.imaging.scoring import Kind, Maps
from model_training import files, limits
from model_training.calibrate import Calibration
from model_training.config import Recipe
from model_training.data import SliceSet
from model_training.evaluation.examine import MODEL
from model_training.graph import ShippedGraph
from model_training.precisions import lean

OPSET = 18
# Largest differences from torch; the deviations divide by small numbers.
MAX_DIFFERENCES = {"restoration": 1e-3, "raw": 5e-3, "deviations": 5e-2}


def export(
    graph: ShippedGraph,
    folder: Path,
    *,
    brain_graph: Path,
    recipes: Sequence[Recipe],
    calibration: Calibration,
    slices: SliceSet,
    origin: str | None = None,
) -> float:
    """Writes the folder, loads it as the agent would, and returns the largest difference.

    `recipes` are those of the runs that answer together; they differ in their seed alone. `origin`
    is the sha256 of the graph whose weights they began with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_graph(graph, folder / inference.GRAPH_FILE, recipes[0])
    files.copy(brain_graph, folder / inference.BRAIN_FILE)
    text = description(folder, recipes, calibration, slices)
    if origin is not None:
        text += f'continues = "{origin}"  # sha256 of the graph whose weights training began with\n'
    (folder / model_toml.FILE_NAME).write_text(text, encoding="utf-8")
    model = inference.load(folder, provider=inference.Provider.CPU, every_map=True)
    lean.add(folder)
    image = slices.images[:5].astype(np.float32)
    return check_parity(graph, model.run(image, slices.positions[:5]), image, slices.positions[:5])


def write_graph(graph: ShippedGraph, path: Path, recipe: Recipe) -> None:
    """One file with everything learnt in it, so that its sha256 covers the model."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    example = (torch.rand(2, recipe.context, recipe.size, recipe.size), torch.rand(2))
    with warnings.catch_warnings():
        # The exporter's own use of deprecated torch calls; nothing to act on here.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.eval(),
            example,
            str(path),
            input_names=["slices", "position"],
            output_names=list(inference.OUTPUTS),
            dynamic_shapes={"slices": {0: batch}, "position": {0: batch}},
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    forget_origin(path)


def forget_origin(path: Path) -> None:
    """Drops the exporter's notes of where each part came from: they hold this machine's paths, and
    the same model would have another sha256 elsewhere."""
    model = onnx.load(path)
    graph = model.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
    for whole in (graph, model):
        del whole.metadata_props[:]
    onnx.save(model, path)


def check_parity(
    graph: ShippedGraph,
    served: Maps,
    image: NDArray[np.float32],
    positions: NDArray[np.float32],
) -> float:
    """The largest difference between torch and the exported graph; raises where it matters."""
    with torch.inference_mode():
        wanted = graph(torch.from_numpy(image), torch.from_numpy(positions))
    largest = 0.0
    for (name, limit), tensor in zip(MAX_DIFFERENCES.items(), wanted, strict=True):
        difference = float(np.abs(getattr(served, name) - tensor.numpy()).max())
        if not difference <= limit:
            raise ValueError(f"The exported graph differs from torch in {name} by {difference:g}.")
        largest = max(largest, difference)
    return largest


def description(
    folder: Path, recipes: Sequence[Recipe], calibration: Calibration, slices: SliceSet
) -> str:
    """The text of `model.toml`."""
    recipe, frozen = recipes[0], calibration.rows[MODEL]
    return f"""# Written by `neurosieve-train export`; a graph with another digest is refused.
[model]
name = "{recipe.name}"
version = "{recipe.version}"
sha256 = "{digest(folder / inference.GRAPH_FILE)}"
sequence = "{recipe.sequence}"
plane = "{recipe.plane}"

[brain]  # the graph that finds the brain, {inference.BRAIN_FILE}
sha256 = "{digest(folder / inference.BRAIN_FILE)}"

[input]
size = {recipe.size}
context = {recipe.context}
spacing = "none: a square crop, 1.12 times the brain's longer side"
normalisation = "air 0, median of the brain 0.4, cut at 1.2, 0 beyond 2 mm outside the brain"

[fusion.map]  # weight of each kind of map in the anomaly map
{weights(calibration.fusion.map_weights)}

[fusion.score]  # and of its deviations from normal in the slice score
{weights(calibration.fusion.score_weights)}

[thresholds]
pixel = {frozen.pixel!r}
slice = {frozen.slice!r}
minimum_volume_ml = {calibration.minimum_volume_ml!r}
operating_point = "{calibration.operating_point}"

[reference]  # tumour-free calibration scores, rising: p = (1 + number at least as high) / (n + 1)
slice_scores = {list(calibration.slice_reference)!r}
study_scores = {list(calibration.study_reference)!r}

{limits.as_toml(calibration.acceptance)}
[training]
data_sha256 = "{slices.digest}"
slices = {len(slices.images)}
subjects = {slices.subjects}
code_version = "{code_version()}"
torch = "{torch.__version__}"
seeds = {[one.seed for one in recipes]!r}
"""


def weights(values: tuple[float, ...]) -> str:
    """One line for each kind of map."""
    return "\n".join(f"{kind} = {value!r}" for kind, value in zip(Kind, values, strict=True))


def digest(path: Path) -> str:
    """A file's sha256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def code_version() -> str:
    """The package's version, with the git revision where there is one."""
    version = metadata.version("neurosieve")
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return version
    found = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{version}+{found.stdout.strip()}" if found.returncode == 0 else version

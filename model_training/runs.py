"""One training run in its folder: train, calibrate, export, each step from files to files."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from agent import inference
from agent.imaging.brain import BrainNet
from model_training import calibrate as calibration
from model_training import (
    checkpoint,
    config,
    data,
    export,
    fusion,
    graph,
    measurements,
    trainer,
    weights,
)
from model_training.calibrate import Calibration
from model_training.config import Recipe
from model_training.data import SliceSet
from model_training.evaluation import examine
from model_training.evaluation.examine import Examined
from model_training.files import copy
from model_training.graph import ShippedGraph
from model_training.methods import catalogue
from model_training.methods.method import Parts
from model_training.trainer import Run
from model_training.weights import Weights

RECIPE_FILE = "recipe.toml"
SLICES_FILE = "slices.npz"
WATCHED_FILE = "watched.npz"
MEMBERS_FOLDER = "members"
SHARED_FILES = (RECIPE_FILE, SLICES_FILE, WATCHED_FILE, inference.BRAIN_FILE, trainer.LOSS_FILE)


def train(
    recipe_file: Path,
    data_folder: Path,
    folder: Path,
    *,
    brain_graph: Path,
    device: torch.device,
    begin_with: Path | None = None,
    tell: Callable[[Run], None] | None = None,
) -> Run:
    """Trains, or goes on with a run that was broken off; the folder keeps all it needs later.

    `begin_with` is the model folder whose weights a new run begins with; `tell` hears of each step.
    """
    recipe = config.load(recipe_file)
    learnt = None if begin_with is None else weights.load(begin_with, recipe.seed)
    folder.mkdir(parents=True, exist_ok=True)
    if begin_with is not None and checkpoint.load(folder) is None:
        weights.note_origin(folder, begin_with)
    copy(recipe_file, folder / RECIPE_FILE)
    copy(brain_graph, folder / inference.BRAIN_FILE)
    brain_net = brain_of(folder)
    members = data.training_members(data_folder, recipe)
    slices = data.kept_slices(folder / SLICES_FILE, members, recipe, brain_net)
    watching = data.watched_members(data_folder, recipe)
    watched = data.kept_slices(folder / WATCHED_FILE, watching, recipe, brain_net)
    return trainer.train(
        recipe, slices, folder, watched=watched, device=device, learnt=learnt, tell=tell
    )


def calibrate(folder: Path, data_folder: Path) -> Calibration:
    """Learns the fusion, chooses the thresholds and freezes them beside the run."""
    recipe, shipped, _ = finished(folder)
    brain_net = brain_of(folder)

    def examined(collections: Sequence[str]) -> list[Examined]:
        members = data.calibration_members(data_folder, collections)
        return examine.examine(
            members, lambda prepared: graph.maps(shipped, prepared), recipe, brain_net
        )

    learnt = fusion.learn(shipped, data.read_slices(folder / WATCHED_FILE))
    patients, tumour_free = examined(recipe.collections[:1]), examined(recipe.collections[1:])
    accepted, shortcut = measurements.learn(
        folder, data_folder, recipe, brain_net, [*patients, *tumour_free]
    )
    chosen = calibration.calibrate(
        patients, tumour_free, learnt, acceptance=accepted, shortcut=shortcut
    )
    calibration.save(folder, chosen)
    return chosen


def export_model(folder: Path, out: Path) -> float:
    """Writes the model folder; returns the largest difference between torch and ONNX."""
    frozen = calibration.load(folder)
    _, shipped, slices = finished(folder)
    difference = export.export(
        shipped,
        out,
        brain_graph=folder / inference.BRAIN_FILE,
        recipes=[config.load(one / RECIPE_FILE) for one in members(folder)],
        calibration=frozen,
        slices=slices,
        origin=weights.origin(folder),
    )
    weights.save(out, [learnt_by(one) for one in members(folder)])
    copy(folder / RECIPE_FILE, out / RECIPE_FILE)  # who goes on with the model needs it
    return difference


def finished(folder: Path) -> tuple[Recipe, ShippedGraph, SliceSet]:
    """Recipe, graph (the averaged networks) and training slices of a run."""
    recipe = config.load(folder / RECIPE_FILE)
    parts = [trained(recipe, one) for one in members(folder)]
    slices = data.read_slices(folder / SLICES_FILE)
    return recipe, graph.assemble(parts, slices), slices


def members(folder: Path) -> list[Path]:
    """The runs that were joined in a folder, or the folder alone."""
    return sorted((folder / MEMBERS_FOLDER).glob("*")) or [folder]


def trained(recipe: Recipe, folder: Path) -> Parts:
    """What the last checkpoint of a run ships."""
    method = catalogue.build(recipe)
    weights.take(method.networks, learnt_by(folder), recipe.name)
    return method.parts()


def learnt_by(folder: Path) -> Weights:
    """The weights in the last checkpoint of a run."""
    saved = checkpoint.load(folder)
    if saved is None:
        raise FileNotFoundError(f"{folder} holds no checkpoint: run `neurosieve-train run` first.")
    learnt: Weights = saved["networks"]
    return learnt


def join(folders: Sequence[Path], out: Path) -> None:
    """Makes one run of several that learnt from the same slices by the same recipe.

    Raises ValueError where they differ in more than the seed.
    """
    first, *others = folders
    wanted = replace(config.load(first / RECIPE_FILE), seed=0)
    digest = data.read_slices(first / SLICES_FILE).digest
    for other in others:
        if replace(config.load(other / RECIPE_FILE), seed=0) != wanted:
            raise ValueError(f"{other} has another recipe than {first}: only the seed may differ.")
        if data.read_slices(other / SLICES_FILE).digest != digest:
            raise ValueError(f"{other} learnt from other slices than {first}.")
    out.mkdir(parents=True, exist_ok=True)
    for name in SHARED_FILES:
        shutil.copyfile(first / name, out / name)
    if weights.origin(first) is not None:
        shutil.copyfile(first / weights.ORIGIN_FILE, out / weights.ORIGIN_FILE)
    for number, folder in enumerate(folders, start=1):
        member = out / MEMBERS_FOLDER / str(number)
        member.mkdir(parents=True, exist_ok=True)
        for name in (checkpoint.FILE_NAME, RECIPE_FILE):
            shutil.copyfile(folder / name, member / name)


def brain_of(folder: Path) -> BrainNet:
    """The brain network that a run was prepared with."""
    return inference.load_brain(folder / inference.BRAIN_FILE)

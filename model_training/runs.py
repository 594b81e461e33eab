"""What lies in a run's folder, and how a finished run becomes a graph."""

from pathlib import Path

from model_training import checkpoint, config, data, graph, trainer
from model_training.config import Recipe
from model_training.data import SliceSet
from model_training.graph import ShippedGraph

RECIPE_FILE = "recipe.toml"
SLICES_FILE = "slices.npz"


def finished(folder: Path) -> tuple[Recipe, ShippedGraph, SliceSet]:
    """Recipe, graph (the averaged generator) and training slices of a run."""
    recipe = config.load(folder / RECIPE_FILE)
    saved = checkpoint.load(folder)
    if saved is None:
        raise FileNotFoundError(f"{folder} holds no checkpoint: run `neurosieve-train run` first.")
    run = trainer.start(recipe)
    trainer.restore(run, saved)
    slices = data.kept_slices(folder / SLICES_FILE, (), size=recipe.size)
    shipped = graph.assemble(
        run.averaged.eval(), run.discriminator.eval(), slices, context=recipe.context
    )
    return recipe, shipped.requires_grad_(False), slices

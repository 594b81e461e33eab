"""The command `neurosieve-train images`; everything heavy is imported inside it."""

from pathlib import Path
from typing import Annotated

import typer

REPORT_FILE = "images.md"

RunFolder = Annotated[Path, typer.Option("--run", help="A finished run on single images.")]
DataFolder = Annotated[Path, typer.Option("--data", help="Folder with the data collections.")]


def images(run_folder: RunFolder, data_folder: DataFolder) -> None:
    """Measure a GAN of single images, with few labels and all, beside the shortcuts."""
    from agent.errors import AgentError

    try:
        report = _measured(run_folder, data_folder)
    except (AgentError, OSError, ValueError) as error:
        typer.echo(f"neurosieve-train: {error}", err=True)
        raise typer.Exit(1) from error
    (run_folder / REPORT_FILE).write_text(report, encoding="utf-8")
    typer.echo(report)


def _measured(run_folder: Path, data_folder: Path) -> str:
    import torch

    from model_training.image_sets import gan_features, image_set, worth

    networks = gan_features.load(run_folder)
    torch.set_num_threads(networks.recipe.threads)
    collection = data_folder / networks.recipe.collections[0]
    images = image_set.read(collection, size=networks.recipe.size)
    return worth.report(worth.measure(images, worth.see(images, networks)))

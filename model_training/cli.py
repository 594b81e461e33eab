"""`neurosieve-train`: train a model, freeze its thresholds, export it, open the test split once."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from model_training import examine

app = typer.Typer(no_args_is_help=True, add_completion=False)

RunFolder = Annotated[Path, typer.Option("--run", help="Folder of the training run.")]
DataFolder = Annotated[Path, typer.Option("--data", help="Folder with the data collections.")]


@app.callback()
def main() -> None:
    """Train a model, freeze its thresholds, export it, and open the test split once."""


@app.command()
def run(
    recipe_file: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe in TOML.")],
    data_folder: DataFolder,
    out: Annotated[Path, typer.Option(help="Folder of the run; an unfinished run goes on.")],
) -> None:
    """Train a model from a recipe; call it again to go on after a break."""
    from model_training import config, data, runs, trainer

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    recipe = config.load(recipe_file)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(recipe_file, out / runs.RECIPE_FILE)
    folders = data.training_folders(data_folder, recipe.collections, recipe.only_subjects)
    slices = data.kept_slices(out / runs.SLICES_FILE, folders, size=recipe.size)
    typer.echo(f"{len(slices.images)} tumour-free slices of {slices.subjects} subjects.")
    finished = trainer.train(recipe, slices, out)
    typer.echo(f"{finished.step} steps in {finished.seconds:.0f} s, kept in {out}.")


@app.command()
def calibrate(run_folder: RunFolder, data_folder: DataFolder) -> None:
    """Choose weights and thresholds on the calibration split and freeze them beside the run."""
    from model_training import calibrate as calibration
    from model_training import data, examine, graph, runs

    recipe, shipped, _ = runs.finished(run_folder)

    def examined(collections: Sequence[str]) -> "list[examine.Examined]":
        folders = [
            folder
            for collection in collections
            for folder in data.subject_folders(data_folder, collection, "calibration")
        ]
        return examine.examine(
            folders,
            lambda prepared: graph.maps(shipped, prepared),
            size=recipe.size,
            context=recipe.context,
        )

    chosen = calibration.calibrate(
        examined(recipe.collections[:1]), examined(recipe.collections[1:])
    )
    calibration.save(run_folder, chosen)
    typer.echo(f"{chosen.fusion}\n{chosen.rows[examine.MODEL]}\n{chosen.choices}")


@app.command()
def export(
    run_folder: RunFolder,
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
) -> None:
    """Write a model folder that the agent can load, and check it against torch."""
    from model_training import calibrate as calibration
    from model_training import export as exporter
    from model_training import runs

    frozen = calibration.load(run_folder)
    recipe, shipped, slices = runs.finished(run_folder)
    difference = exporter.export(shipped, out, recipe=recipe, calibration=frozen, slices=slices)
    typer.echo(f"{out} written; largest difference from torch {difference:.1e}.")


@app.command()
def evaluate(
    run_folder: RunFolder,
    data_folder: DataFolder,
    model_folder: Annotated[Path, typer.Option("--model", help="The exported model folder.")],
) -> None:
    """Open the test split once: table, figures, false alarms, other hospitals."""
    from model_training import calibrate as calibration
    from model_training import evaluate as evaluation
    from model_training import evaluation_run

    frozen = calibration.load(run_folder)
    result = run_folder / evaluation.FILE_NAME
    if result.exists():
        typer.echo(f"{result} exists: the test split has been opened for this run.", err=True)
        raise typer.Exit(1)
    typer.echo(evaluation_run.evaluate(run_folder, data_folder, model_folder, frozen))


if __name__ == "__main__":
    app()

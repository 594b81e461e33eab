"""`neurosieve-train`: train a model, freeze its thresholds, export it, open the test split once."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from model_training.prepare.command import prepare

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
    brain: Annotated[
        Path | None, typer.Option(help="The graph that finds the brain; else the shipped one.")
    ] = None,
) -> None:
    """Train a model from a recipe; call it again to go on after a break."""
    from agent import inference
    from model_training import runs

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    brain_graph = brain or inference.default_folder() / inference.BRAIN_FILE
    finished = runs.train(recipe_file, data_folder, out, brain_graph=brain_graph)
    typer.echo(f"{finished.step} steps in {finished.seconds:.0f} s, kept in {out}.")


@app.command()
def calibrate(run_folder: RunFolder, data_folder: DataFolder) -> None:
    """Learn weights on synthetic lesions, choose thresholds on the calibration split, freeze."""
    from model_training import examine, runs

    chosen = runs.calibrate(run_folder, data_folder)
    typer.echo(f"{chosen.fusion}\n{chosen.rows[examine.MODEL]}\n{chosen.synthetic}")


@app.command()
def export(
    run_folder: RunFolder,
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
) -> None:
    """Write a model folder that the agent can load, and check it against torch."""
    from model_training import runs

    difference = runs.export_model(run_folder, out)
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


app.command()(prepare)

if __name__ == "__main__":
    app()

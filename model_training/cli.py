"""`neurosieve-train`: train a model, freeze its thresholds, export it, open the test split once."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from model_training.ablation.command import ablation
from model_training.border import one_sentence
from model_training.brain.command import app as brain_app
from model_training.devices import Device, DeviceOption
from model_training.image_sets.audit_command import audit
from model_training.image_sets.images_command import images
from model_training.precisions.command import precision
from model_training.prepare.command import prepare

app = typer.Typer(no_args_is_help=True, add_completion=False)

RunFolder = Annotated[Path, typer.Option("--run", help="Folder of the training run.")]
DataFolder = Annotated[Path, typer.Option("--data", help="Folder with the data collections.")]


@app.callback()
def main() -> None:
    """Train a model, freeze its thresholds, export it, and open the test split once."""


@app.command()
@one_sentence
def run(
    recipe_file: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe in TOML.")],
    data_folder: DataFolder,
    out: Annotated[Path, typer.Option(help="Folder of the run; an unfinished run goes on.")],
    brain: Annotated[
        Path | None, typer.Option(help="The graph that finds the brain; else the shipped one.")
    ] = None,
    begin_with: Annotated[
        Path | None,
        typer.Option("--from", help="A model folder whose weights a new run begins with."),
    ] = None,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Train a model from a recipe; call it again to go on after a break."""
    from agent import inference
    from model_training import devices, runs

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    brain_graph = brain or inference.default_folder() / inference.BRAIN_FILE
    finished = runs.train(
        recipe_file,
        data_folder,
        out,
        brain_graph=brain_graph,
        device=devices.find(device),
        begin_with=begin_with,
    )
    typer.echo(f"{finished.step} steps in {finished.seconds:.0f} s, kept in {out}.")


@app.command()
@one_sentence
def join(
    runs_folders: Annotated[
        list[Path], typer.Option("--run", help="Runs of one recipe that differ in their seed.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the joined run, for `calibrate`.")],
) -> None:
    """Make one run of several seeds: the model answers with their mean."""
    from model_training import runs

    runs.join(runs_folders, out)
    typer.echo(f"{out} joins {len(runs_folders)} runs.")


@app.command()
@one_sentence
def calibrate(run_folder: RunFolder, data_folder: DataFolder) -> None:
    """Learn weights on synthetic lesions, choose thresholds on the calibration split, freeze."""
    from model_training import runs
    from model_training.evaluation import examine

    chosen = runs.calibrate(run_folder, data_folder)
    typer.echo(f"{chosen.fusion}\n{chosen.rows[examine.MODEL]}\n{chosen.synthetic}")


@app.command()
@one_sentence
def export(
    run_folder: RunFolder,
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
) -> None:
    """Write a model folder that the agent can load, and check it against torch."""
    from model_training import runs

    difference = runs.export_model(run_folder, out)
    typer.echo(f"{out} written; largest difference from torch {difference:.1e}.")


@app.command()
@one_sentence
def verdicts(
    run_folder: RunFolder,
    data_folder: DataFolder,
    model_folder: Annotated[Path, typer.Option("--model", help="The exported model folder.")],
) -> None:
    """Learn on the training split what parts a mass from white-matter disease."""
    from model_training import config, runs
    from model_training.pattern import verdicts as learning

    recipe = config.load(run_folder / runs.RECIPE_FILE)
    learnt = learning.learn(data_folder, recipe, model_folder)
    typer.echo(f"{learnt.rule}\nregion AUROC {learnt.auroc:.3f} (subject left out)")
    for group in learnt.groups:
        typer.echo(str(group))


@app.command()
@one_sentence
def evaluate(
    run_folder: RunFolder,
    data_folder: DataFolder,
    model_folder: Annotated[Path, typer.Option("--model", help="The exported model folder.")],
    split: Annotated[
        str, typer.Option(help="test, once; or calibration, for development.")
    ] = "test",
) -> None:
    """Open the test split once: tables, figures, false alarms, other hospitals, one report."""
    from model_training import calibrate as calibration
    from model_training.evaluation import evaluation_run

    frozen = calibration.load(run_folder)
    typer.echo(evaluation_run.evaluate(run_folder, data_folder, model_folder, frozen, split=split))


@app.command()
@one_sentence
def compare(
    ours: Annotated[list[Path], typer.Option("--run", help="Evaluated runs, one for each seed.")],
    theirs: Annotated[list[Path], typer.Option("--against", help="As many runs to compare with.")],
    collection: Annotated[str, typer.Option(help="The collection both were evaluated on.")],
    split: Annotated[str, typer.Option(help="test or calibration.")] = "test",
) -> None:
    """Differences of two models on the same patients, with intervals, over several seeds."""
    from model_training.evaluation import run_comparison

    typer.echo(run_comparison.compare(ours, theirs, collection=collection, split=split))


app.command()(prepare)
app.command()(precision)
app.command()(ablation)
app.command()(audit)
app.command()(images)
app.add_typer(brain_app, name="brain")

if __name__ == "__main__":
    app()

"""`neurosieve-train brain`: label volumes with the teacher, train the network that finds brains."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from model_training.border import one_sentence

app = typer.Typer(no_args_is_help=True, help="Make the network that finds the brain.")

Data = Annotated[Path, typer.Option("--data", help="Folder with the data collections.")]
Collections = Annotated[
    list[str], typer.Option("--collection", help="A collection to take; may be given again.")
]


@app.command()
@one_sentence
def label(
    data_folder: Data,
    collections: Collections,
    out: Annotated[Path, typer.Option(help="Folder for the labels; those there are kept.")],
) -> None:
    """Have deepbet draw the brains of the training subjects (about 10 seconds each)."""
    from model_training import collection
    from model_training.brain import teacher

    for name in collections:
        listed = collection.members(data_folder / name)
        for member in collection.of_split(listed, collection.Split.TRAIN):
            typer.echo(str(teacher.label(collection.image_file(member), out, member.name)))


@app.command()
@one_sentence
def train(
    data_folder: Data,
    collections: Collections,
    labels: Annotated[Path, typer.Option(help="Folder that `brain label` wrote.")],
    out: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    steps: Annotated[int, typer.Option(help="Batches of 16 slices.")] = 2550,
    seed: Annotated[int, typer.Option(help="Decides every draw.")] = 1,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
) -> None:
    """Train on the labels and write the graph (about 35 minutes on one core)."""
    from model_training import collection
    from model_training.brain import learning, teacher, views

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    volumes = [
        (collection.image_file(member), teacher.path_of(labels, member.name))
        for name in collections
        for member in collection.of_split(
            collection.members(data_folder / name), collection.Split.TRAIN
        )
    ]
    network = learning.train(views.read(volumes), steps=steps, seed=seed, threads=threads)
    learning.export(network, out)
    typer.echo(f"{out} written.")

"""The command `neurosieve-train ablation`; everything heavy is imported inside it."""

from pathlib import Path
from typing import Annotated

import typer

from model_training.border import one_sentence
from model_training.devices import Device, DeviceOption


@one_sentence
def ablation(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Variants of a recipe in TOML.")],
    data_folder: Annotated[Path, typer.Option("--data", help="Folder with the collections.")],
    out: Annotated[Path, typer.Option(help="Folder of all runs; finished variants stay.")],
    steps: Annotated[
        int | None, typer.Option(help="Training steps of each, instead of the file's.", min=1)
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Names of variants; two processes may share the work.")
    ] = None,
    brain: Annotated[
        Path | None, typer.Option(help="The graph that finds the brain; else the shipped one.")
    ] = None,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Train variants of a recipe and say what each part is worth on calibration patients."""
    import logging

    from model_training import devices
    from model_training.ablation import course

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    command = f"neurosieve-train ablation {file.name} --data {data_folder.name}" + (
        "" if steps is None else f" --steps {steps}"
    )
    text = course.run(
        file,
        data_folder,
        out,
        steps=steps,
        only=only or [],
        brain=brain,
        device=devices.find(device),
        command=command,
    )
    typer.echo(text)

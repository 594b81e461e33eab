"""`python -m model_training.retraining`: what the node starts, and people without a node may."""

import os
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from model_training.border import one_sentence
from model_training.devices import Device, DeviceOption

app = typer.Typer(add_completion=False)


@app.command()
@one_sentence
def retrain(
    data: Annotated[Path, typer.Option(help="DICOM, BIDS/NIfTI or 2D images, all tumour-free.")],
    base: Annotated[Path, typer.Option("--from", help="The model folder that is gone on from.")],
    out: Annotated[Path, typer.Option(help="Working folder; an unfinished one is gone on with.")],
    run: Annotated[str, typer.Option(help="The run's name, which ends the candidate's version.")],
    recipe: Annotated[
        str | None, typer.Option(help="A recipe to learn anew by, in place of going on.")
    ] = None,
    steps: Annotated[int, typer.Option(min=0, help="Most steps; 0: as the recipe says.")] = 0,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Go on without the scans that do not suit.")
    ] = False,
    private: Annotated[
        Path | None, typer.Option(help="DICOM: where the secret behind the pseudonyms lies.")
    ] = None,
    device: DeviceOption = Device.AUTO,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="End when standard input is closed.")
    ] = False,
) -> None:
    """Check scans, fine-tune a model by them, and compare it with the one it came from.

    Prints progress as one JSON object a line. The candidate is in `candidate` below the working
    folder; call it again to go on after a break.
    """
    if with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    from model_training import devices
    from model_training.retraining import stages
    from model_training.retraining.order import Order

    order = Order(
        data=data,
        base=base,
        work=out,
        run=run,
        private=private or out.with_name(f"{out.name}.private"),
        recipe=recipe,
        steps=steps,
        leave_out=leave_out,
    )
    stages.retrain(order, devices.find(device))


def _end_with_parent() -> None:
    """Whoever started this holds the other end, also when it is killed."""
    # Not by `sys.stdin`: its lock would be held when this process ends by itself.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(1)

"""Where a training run calculates. A matter of the machine, so no part of a recipe."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import torch


class Device(StrEnum):
    """Values of `--device`."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


DeviceOption = Annotated[
    Device, typer.Option("--device", help="Where to train; auto: on a CUDA GPU if there is one.")
]


def find(wanted: Device) -> "torch.device":
    """The device to train on; raises ValueError where a GPU is wanted and there is none."""
    import torch  # `--help` shall not wait for it

    there = torch.cuda.is_available()
    if wanted is Device.CUDA and not there:
        raise ValueError("torch finds no CUDA GPU here: train with `--device cpu`.")
    return torch.device("cuda" if there and wanted is not Device.CPU else "cpu")

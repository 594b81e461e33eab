"""`neurosieve-train precision`: a faster precision of a model folder, its accuracy beside fp32."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from model_training.border import one_sentence

RECIPE_FILE = Path(__file__).resolve().parents[1] / "recipes" / "default.toml"


@one_sentence
def precision(
    wanted: Annotated[
        Literal["int8", "tf32", "fp16"],
        typer.Argument(help="int8 for processors; tf32 and fp16 for GPUs, made on one."),
    ],
    model_folder: Annotated[Path, typer.Option("--model", help="The model folder, in fp32.")],
    data_folder: Annotated[Path, typer.Option("--data", help="Folder with the data collections.")],
    recipe_file: Annotated[
        Path | None, typer.Option("--recipe", help="Whose collections; else the model's own.")
    ] = None,
) -> None:
    """Write a faster precision into a model folder, with thresholds and accuracy of its own."""
    from agent.model_toml import Precision
    from model_training import config, runs
    from model_training.precisions import making

    own = model_folder / runs.RECIPE_FILE
    recipe = config.load(recipe_file or (own if own.is_file() else RECIPE_FILE))
    typer.echo(making.make(model_folder, data_folder, recipe, Precision(wanted)))
    typer.echo(f"\n{model_folder / wanted} written.")

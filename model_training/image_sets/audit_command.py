"""The command `neurosieve-train audit`; everything heavy is imported inside it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from model_training.image_sets.shortcuts import Audit

Collection = Annotated[
    Path, typer.Argument(help="A collection of single images that `prepare` wrote.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def audit(collection: Collection, as_json: Json = False) -> None:
    """Measure how far shortcuts alone tell abnormal from normal images in a collection."""
    from agent.errors import AgentError

    try:
        found = _audited(collection)
    except (AgentError, OSError, ValueError) as error:
        typer.echo(f"neurosieve-train: {error}", err=True)
        raise typer.Exit(1) from error
    if as_json:
        _print_json(found)
    else:
        _show(found)


def _audited(collection: Path) -> "Audit":
    """The work, with a bar on standard error where somebody watches."""
    from rich.console import Console
    from rich.progress import Progress

    from model_training.image_sets import image_set, shortcuts
    from model_training.image_sets.shortcut_features import Shortcut

    images = image_set.read(collection)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Trying shortcuts", total=len(Shortcut))
        return shortcuts.audit(images, done=lambda _: bar.advance(task))


def _show(found: "Audit") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from model_training.image_sets import shortcuts

    title = (
        f"Shortcuts in {found.images} images, {found.abnormal} of them abnormal, "
        f"of {found.groups} groups ({found.protocol})"
    )
    table = Table(title=Text(title), title_justify="left", header_style="bold")
    for column in shortcuts.COLUMNS:
        table.add_column(column.replace("_", " "))
    for line in shortcuts.lines(found):
        table.add_row(*line)
    Console().print(table)
    typer.echo(shortcuts.sentence(found))


def _print_json(found: "Audit") -> None:
    import json

    from model_training.image_sets import shortcuts

    more = {"confounded": found.confounded, "sentence": shortcuts.sentence(found)}
    typer.echo(json.dumps(asdict(found) | more, indent=2))

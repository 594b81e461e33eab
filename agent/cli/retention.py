"""`neurosieve retention`: remove the files of old studies now, or see what would go."""

from dataclasses import asdict
from typing import Annotated

import typer

from agent.cli import opened
from agent.cli.border import ConfigOption, JsonOption, one_sentence, say, show

app = typer.Typer(help="Remove the files of old, delivered studies.", no_args_is_help=True)

COLUMNS = ("study", "finished_at", "what", "size_mb", "why")


@app.callback()
def main() -> None:
    """One command, and room for more."""


@app.command()
@one_sentence
def run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove what the section [retention] lets go, as the node does every quarter of an hour.

    Only files of studies that are over and that every destination has; rows stay for ever.

    Example: neurosieve retention run --dry-run
    """
    from datetime import UTC, datetime

    from agent import bootstrap, settings

    values = settings.load(config)
    with opened.storage(config) as kept:
        removed = bootstrap.retention(values, kept, dry_run=dry_run).run(datetime.now(UTC))
    rows = [asdict(one) | {"size_mb": round(one.size_bytes / 1e6, 1)} for one in removed]
    if as_json or rows:
        show(rows, columns=COLUMNS, title="Retention", as_json=as_json)
        return
    say("Nothing is to go.")

"""`neurosieve audit`: who did what, and whether anybody changed that afterwards."""

from dataclasses import asdict
from typing import Annotated

import typer

from agent.cli import opened
from agent.cli.border import ConfigOption, JsonOption, one_sentence, say, show

app = typer.Typer(help="See who changed what, and check the seals.", no_args_is_help=True)

COLUMNS = ("at", "who", "action", "subject", "detail")


@app.command("list")
@one_sentence
def list_events(
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was done, the newest first.

    Example: neurosieve audit list
    """
    from storage import audit

    with opened.storage(config) as kept, kept.database.read() as session:
        found = audit.events(session, limit=limit)
    show([asdict(one) for one in found], columns=COLUMNS, title="Audit", as_json=as_json)


@app.command()
@one_sentence
def verify(config: ConfigOption = None) -> None:
    """Check that no event was changed, removed or put in.

    Example: neurosieve audit verify
    """
    from storage import audit

    with opened.storage(config) as kept, kept.database.read() as session:
        count = audit.verify(session)
        newest = audit.events(session, limit=1)
    seal = f"; the newest seal is {newest[0].sha256}" if newest else ""
    say(f"{count} events, every seal holds{seal}.")

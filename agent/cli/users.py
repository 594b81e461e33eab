"""`neurosieve users`: who may sign in at the status page."""

import sys
from typing import Annotated

import typer

from agent.cli.border import ConfigOption, JsonOption, one_sentence, say, show

app = typer.Typer(help="Let people sign in at the status page.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The user's name.", show_default=False)]


@app.command()
@one_sentence
def add(
    name: Name,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Add a user, or give one another password; asks for it twice.

    Example: neurosieve users add anna
    """
    from agent import bootstrap, settings
    from agent.status import users

    values = settings.load(config)
    password = (
        sys.stdin.readline().rstrip("\r\n")
        if password_stdin
        else typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    bootstrap.open_store(values)  # makes the data folder, for the service alone
    users.add(bootstrap.users_file(values), name, password)
    _note(config, "user added", name)
    say(f"{name} may sign in.")


@app.command("list")
@one_sentence
def list_users(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List who may sign in.

    Example: neurosieve users list
    """
    from agent import bootstrap, settings
    from agent.status import users

    names = users.names(bootstrap.users_file(settings.load(config)))
    show([{"name": one} for one in names], columns=("name",), title="Users", as_json=as_json)


@app.command()
@one_sentence
def remove(name: Name, config: ConfigOption = None) -> None:
    """Let a user in no more; open sessions end when the page restarts.

    Example: neurosieve users remove anna
    """
    from agent import bootstrap, settings
    from agent.status import users

    users.remove(bootstrap.users_file(settings.load(config)), name)
    _note(config, "user removed", name)
    say(f"{name} may no longer sign in.")


def _note(config: ConfigOption, action: str, name: str) -> None:
    from contextlib import closing
    from datetime import UTC, datetime

    from agent import bootstrap, settings
    from agent.cli.border import who
    from storage import audit

    storage = bootstrap.open_storage(settings.load(config))
    with closing(storage.database) as database, database.begin() as session:
        audit.append(session, who=who(), action=action, subject=name, now=datetime.now(UTC))

"""Where errors become one sentence and exit code 1, and values become tables or JSON."""

import getpass
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.errors import AgentError
from storage.errors import StorageError

P = ParamSpec("P")
R = TypeVar("R")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Configuration file; without it agent.toml in this folder, then the defaults.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
StudyArgument = Annotated[
    str,
    typer.Argument(help="Study Instance UID, its end or beginning, or <uid>#<revision>."),
]
WhyOption = Annotated[str, typer.Option(help="The reason; kept in the audit.", show_default=False)]

# What may be broken over lines where the terminal is narrow; everything else stays whole.
_FLEXIBLE = frozenset(
    {
        *("action", "by", "description", "detail", "error", "folder", "made_by", "model", "note"),
        *("reason", "scanner", "sha256", "sop_uid", "subject", "verdict", "why"),
    }
)

_FILE_COLUMNS = 140  # where no terminal says how wide it is, names shall stay whole

console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _FILE_COLUMNS)
problems = Console(stderr=True)


def one_sentence(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors we know into one sentence on standard error and exit code 1."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (AgentError, StorageError, OSError) as error:
            say(f"neurosieve: {error}", on=problems)
            raise typer.Exit(1) from error

    return guarded


def say(text: str, *, on: Console = console) -> None:
    """Print a line as it stands: brackets in paths and headers are no markup."""
    on.print(text, markup=False, highlight=False, soft_wrap=True)


def show(
    rows: Iterable[Mapping[str, object]],
    *,
    columns: Sequence[str],
    title: str,
    as_json: bool,
) -> None:
    """Print rows as a table, or as a JSON list with every field."""
    listed = list(rows)
    if as_json:
        print_json(listed)
        return
    table = Table(title=Text(title), title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold", no_wrap=column not in _FLEXIBLE)
    for row in listed:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    console.print(table)


def print_json(value: object) -> None:
    """Print one JSON document, whatever the width of the terminal."""
    typer.echo(json.dumps(value, indent=2, default=_written))


def print_facts(title: str, facts: Mapping[str, object]) -> None:
    """Print what is known of one thing, a line a fact."""
    say(title)
    for name, value in facts.items():
        if value is not None:
            say(f"  {name.replace('_', ' ')}: {_written(value)}")


def who() -> str:
    """Who is at the keyboard, for the audit."""
    name = getpass.getuser()
    behind = os.environ.get("SUDO_USER")
    return f"{behind} (as {name})" if behind and behind != name else name


def _written(value: object) -> str:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)


def _cell(value: object) -> Text:
    if value is None:
        return Text()
    if isinstance(value, datetime):  # in the time zone of who reads it
        return Text(f"{value.astimezone():%Y-%m-%d %H:%M}")
    return Text(f"{value:.3g}" if isinstance(value, float) else str(value))

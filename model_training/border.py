"""Where an error that a person can act on becomes one sentence and exit code 1."""

import tomllib
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import typer

from agent.errors import AgentError

P = ParamSpec("P")
R = TypeVar("R")


def one_sentence(command: Callable[P, R]) -> Callable[P, R]:
    """Says in one line on standard error what was wrong."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (AgentError, OSError, ValueError) as error:
            typer.echo(f"neurosieve-train: {sentence(error)}", err=True)
            raise typer.Exit(1) from error

    return guarded


def sentence(error: Exception) -> str:
    """What was wrong; the operating system's errors without their numbers."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    if isinstance(error, tomllib.TOMLDecodeError):
        return f"The recipe is not TOML: {error}."
    return str(error)

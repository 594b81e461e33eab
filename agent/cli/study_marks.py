"""`neurosieve studies mark`: what a radiologist says of a study after the node has spoken."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import opened
from agent.cli.border import ConfigOption, StudyArgument, one_sentence, say, who

if TYPE_CHECKING:
    from storage.enums import Mark


@one_sentence
def mark(
    study: StudyArgument,
    what: Annotated[
        str,
        typer.Argument(
            metavar="normal|lesion|false-positive|missed",
            help="normal: nothing is there; lesion: something is, and was found; false-positive: "
            "what was found is nothing; missed: something is there, and was not found.",
        ),
    ],
    note: Annotated[str, typer.Option(help="A word to it; no patient's name.")] = "",
    config: ConfigOption = None,
) -> None:
    """Mark a study. Nothing is taken back; the newest mark counts.

    Example: neurosieve studies mark 2.25.2156 lesion --note "seen by two of us"
    """
    from agent import marking
    from storage import studies

    wanted = known(what)
    with opened.node(config) as node, node.database.begin() as session:
        found = studies.find(session, study)
        marking.mark(session, found, wanted, note=note, by=who(), now=datetime.now(UTC))
    say(f"{found.key} is marked {wanted}.")


def known(text: str) -> "Mark":
    """The mark of that name; wrong usage where there is none."""
    from storage.enums import Mark

    try:
        return Mark(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text} is none of {', '.join(Mark)}.") from error

"""`neurosieve backup` and `restore`: a copy of all that a node keeps, and the way back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.border import ConfigOption, one_sentence, problems, say, who

if TYPE_CHECKING:
    from agent.backup import Place


@one_sentence
def backup(
    target: Annotated[Path, typer.Argument(help="A new folder, best on another disk.")],
    onto: Annotated[
        Path | None,
        typer.Option(help="An earlier backup: its images are linked.", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Copy database, images, results, models, users and configuration, while the node runs.

    What lies in a bucket (node.files_url) stays there and is listed. The copy is read again before
    the command ends. It holds patient data: keep it safe.

    Example: neurosieve backup backup
    """
    from contextlib import closing
    from datetime import UTC, datetime

    from agent import audit_trail
    from agent import backup as copying
    from storage import audit
    from storage.database import open_database

    place = _place(config)
    made = copying.make(place, target, onto=onto)
    with closing(open_database(place.database_url)) as database, database.begin() as session:
        audit.append(
            session,
            who=who(),
            action=audit_trail.BACKED_UP,
            subject=str(target),
            now=datetime.now(UTC),
        )
    linked = f", {made.linked_count} of them linked" if made.linked_count else ""
    say(
        f"{made.file_count} files{linked}, {made.size_bytes / 1e6:.1f} MB, are in {target} and "
        "were read again."
    )
    if made.object_count:
        say(
            f"{made.object_count} objects stay in the bucket; {copying.OBJECTS} lists them. "
            "Protect them there, by versions and a copy of the bucket.",
            on=problems,
        )
    for path in made.missing:
        say(f"The database names {path}, which is not there.", on=problems)


@one_sentence
def restore(
    source: Annotated[Path, typer.Argument(help="A folder that `neurosieve backup` made.")],
    config: ConfigOption = None,
) -> None:
    """Put a backup in the place of a new node, whose data folder and database are empty.

    The configuration says where; that of the backup is in its folder `configuration`.

    Example: neurosieve restore backup --config restored.toml
    """
    from agent import backup as copying

    made = copying.restore(source, _place(config))
    say(f"{made.file_count} files, {made.size_bytes / 1e6:.1f} MB, are restored.")


def _place(config: Path | None) -> "Place":
    from agent import bootstrap, settings
    from agent.backup import Place

    values = settings.load(config)
    file = config or settings.DEFAULT_FILE
    return Place(
        database_url=values.database_url,
        data_dir=values.node.data_dir,
        configuration=file if file.is_file() else None,
        objects=bootstrap.objects(values),
    )

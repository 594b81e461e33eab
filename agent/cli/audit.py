"""`neurosieve audit`: who did what, and whether anybody changed that afterwards."""

import json
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import opened
from agent.cli.border import ConfigOption, JsonOption, one_sentence, say, show, who

if TYPE_CHECKING:
    from agent.audit_messages import Site, Told
    from agent.settings import Settings

app = typer.Typer(help="See who did what, check the seals, and export it.", no_args_is_help=True)

COLUMNS = ("at", "who", "action", "subject", "detail")


class Format(StrEnum):
    """How events are written."""

    XML = "xml"
    JSON = "json"


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
def verify(
    newest: Annotated[
        str | None,
        typer.Option(
            help="A seal kept elsewhere; fails where no event bears it, because the end is gone.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Check that no event was changed, removed or put in.

    Example: neurosieve audit verify
    """
    from storage import audit

    with opened.storage(config) as kept, kept.database.read() as session:
        count = audit.verify(session, newest=newest.strip().lower() if newest else None)
        last = audit.events(session, limit=1)
    seal = f"; the newest seal is {last[0].sha256}" if last else ""
    say(f"{count} events, every seal holds{seal}.")


@app.command()
@one_sentence
def export(
    out: Annotated[Path, typer.Option(help="The file that is written.")],
    since: Annotated[
        datetime | None,
        typer.Option(help="Only from then on, UTC, e.g. 2026-01-31.", show_default=False),
    ] = None,
    patients: Annotated[
        bool, typer.Option("--patients", help="With patients' names and what people wrote.")
    ] = False,
    kind: Annotated[
        Format, typer.Option("--format", help="DICOM audit messages (XML), or a JSON line each.")
    ] = Format.XML,
    config: ConfigOption = None,
) -> None:
    """Write the audit as DICOM audit messages (PS3.15 A.5), for an audit repository.

    Without --patients it holds no name and no id of a patient.

    Example: neurosieve audit export --out audit.xml
    """
    from datetime import UTC

    from agent import audit_export, audit_trail, settings
    from storage import audit

    values = settings.load(config)
    moment = since.replace(tzinfo=UTC) if since else None
    with opened.storage(config) as kept:
        with kept.database.read() as session:
            told = list(audit_export.gather(session, kept.store, since=moment, patients=patients))
        out.write_bytes(_written(told, kind, values))
        with kept.database.begin() as session:
            audit.append(
                session,
                who=who(),
                action=audit_trail.AUDIT_EXPORTED,
                subject="with patients" if patients else "without patients",
                now=datetime.now(UTC),
            )
    say(f"{len(told)} events are in {out}.")


def _written(told: "list[Told]", kind: Format, values: "Settings") -> bytes:
    from agent import audit_messages

    if kind is Format.XML:
        return audit_messages.as_xml(told, _site(values))
    lines = (json.dumps(audit_messages.as_json(one), ensure_ascii=False) for one in told)
    return "".join(f"{line}\n" for line in lines).encode()


def _site(values: "Settings") -> "Site":
    from agent.audit_messages import Site

    return Site(
        ae_title=values.node.ae_title,
        host=values.node.host,
        destinations={
            one.name: ("", one.url) if one.transport == "stow" else (one.ae_title, one.host)
            for one in values.destinations
        },
    )

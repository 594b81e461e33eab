"""What manual, data flow and security notes say that follows from the code."""

from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup

from agent import settings
from agent.cli import app
from agent.status import sessions, users
from regions import table

EXAMPLE = Path(__file__).resolve().parents[1] / "agent.example.toml"


def commands() -> str:
    """Every command with the first sentence of its help."""
    rows = (
        (f"`{path}`", (one.help or "").partition("\n")[0].partition(" Example:")[0])
        for path, one in leaves(typer.main.get_command(app), "neurosieve")
    )
    return table(("command", "does"), rows)


def configuration() -> str:
    """The example, which shows every key with its default."""
    return f"```toml\n{EXAMPLE.read_text('utf-8')}```\n"


def ports() -> str:
    """Where the node listens by itself."""
    node, page, tls = settings.NodeSettings(), settings.StatusSettings(), settings.TlsSettings()
    by_tls = f"{node.host}:{tls.port}/tcp, off"
    return table(
        ("listens", "default", "protocol", "keys"),
        (
            ("DICOM", f"{node.host}:{node.port}/tcp", "DIMSE", "`node.host`, `node.port`"),
            ("DICOM by TLS", by_tls, "DIMSE over TLS 1.2 or 1.3", "`[tls]`, `node.host`"),
            ("status page", f"{page.host}:{page.port}/tcp", "HTTP or HTTPS", "`[status]`"),
        ),
    )


def login() -> str:
    """The figures of the status page's login."""
    page = settings.StatusSettings()
    return table(
        ("login", "value"),
        (
            ("shortest password", f"{users.LEAST_CHARACTERS} characters"),
            ("password hash", "argon2id, parameters of RFC 9106 for low memory"),
            (
                "wrong passwords from one address",
                f"{sessions.MOST_TRIES} in {sessions.TRIES_SECONDS / 60:g} minutes",
            ),
            ("a session ends after", f"{page.session_hours:g} hours, or when the node restarts"),
        ),
    )


def leaves(command: object, path: str) -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    """Every command below one, by its path; a group only where it does something by itself."""
    if isinstance(command, TyperGroup):
        if command.invoke_without_command and path != "neurosieve":
            yield path, command
        for name, one in command.commands.items():
            yield from leaves(one, f"{path} {name}")
    elif isinstance(command, TyperCommand):
        yield path, command


TABLES = {
    "commands": commands,
    "configuration file": configuration,
    "ports": ports,
    "login": login,
}

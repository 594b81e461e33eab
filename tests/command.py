"""The command as a person types it, in this process, on a node of its own."""

from pathlib import Path

from typer.testing import CliRunner, Result

from agent.cli import app


def run(config: Path, *arguments: str | Path) -> Result:
    """Whatever becomes of it."""
    return CliRunner().invoke(app, [*map(str, arguments), "--config", str(config)])


def done(config: Path, *arguments: str | Path) -> str:
    """What it printed; it must have done what it was asked."""
    result = run(config, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout

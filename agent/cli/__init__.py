"""The command `neurosieve`: one module a noun, heavy imports inside the commands."""

from agent.cli.application import app

__all__ = ["app"]

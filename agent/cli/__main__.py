"""`python -m agent.cli`."""

from agent.cli import app

app()

"""`neurosieve serve`, `listen` and `work`: run the node, or one role of it."""

import signal
import threading
from typing import Annotated

import typer

from agent.cli.border import ConfigOption, one_sentence


@one_sentence
def serve(config: ConfigOption = None) -> None:
    """Receive, analyse and return studies in one process.

    It prints `ready` and its port when images may come, and ends cleanly on SIGTERM.

    Example: neurosieve serve --config agent.toml
    """
    _run(config, listens=True, works=True)


@one_sentence
def listen(config: ConfigOption = None) -> None:
    """Only receive studies and queue them.

    Example: neurosieve listen --config agent.toml
    """
    _run(config, listens=True, works=False)


@one_sentence
def work(
    training: Annotated[
        bool, typer.Option("--training", help="Run queued retrainings instead, and nothing else.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Only analyse queued studies and return the results.

    Example: neurosieve work --config agent.toml
    """
    _run(config, listens=False, works=not training, trains=training)


def _run(config: ConfigOption, *, listens: bool, works: bool, trains: bool = False) -> None:
    from agent import bootstrap, confinement, logs, settings
    from agent.errors import ConfigurationError

    confinement.forbid_core_dumps()
    values = settings.load(config)
    logs.configure(level=values.log.level, as_json=values.log.format == "json")
    logs.catch_all()
    stopping = threading.Event()
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):  # SIGBREAK: Windows services
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stopping.set())
    node = bootstrap.build_node(values, listens=listens, works=works, trains=trains)
    node.start()
    port = f" port={node.reception.listener.port}" if node.reception else ""
    typer.echo(f"ready ae={values.node.ae_title}{port}")
    # A bounded wait, so that signals are seen on Windows too.
    while not stopping.wait(1.0) and not node.is_lost:
        pass
    node.stop()
    if node.is_lost:
        raise ConfigurationError(
            "A worker on another host has taken this slot; give each its own node.slot."
        )

"""`neurosieve status`: the status page alone."""

import signal
import threading
from contextlib import closing

import typer

from agent.cli.border import ConfigOption, one_sentence


@one_sentence
def status(config: ConfigOption = None) -> None:
    """Serve only the status page, as where `serve` has it switched off; ends on SIGTERM.

    Example: neurosieve status
    """
    from agent import bootstrap, confinement, logs, settings

    confinement.forbid_core_dumps()
    values = settings.load(config)
    logs.configure(level=values.log.level, as_json=values.log.format == "json")
    logs.catch_all()
    stopping = threading.Event()
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stopping.set())
    storage = bootstrap.open_storage(values)
    with closing(storage.database):
        server = bootstrap.status_server(values, storage)
        server.start()
        typer.echo(f"ready status={server.url}")
        while not stopping.wait(1.0):
            pass
        server.stop()

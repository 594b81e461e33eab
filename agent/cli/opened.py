"""The node's data for one command: opened, given, closed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.cli.border import ConfigOption

if TYPE_CHECKING:
    from agent.model_store import ModelStore
    from agent.models_in_use import Models
    from agent.settings import Settings
    from storage.database import Database
    from storage.files import FileStore


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a command works on."""

    settings: "Settings"
    database: "Database"
    store: "FileStore"
    folders: "ModelStore"
    models: "Models"


@contextmanager
def node(config: ConfigOption) -> Iterator[Opened]:
    """The data folder, the database and the models of the configured node."""
    from agent import bootstrap, logs, settings

    values = settings.load(config)
    logs.configure(level="WARNING", as_json=False)
    storage = bootstrap.open_storage(values)
    try:
        yield Opened(
            settings=values,
            database=storage.database,
            store=storage.store,
            folders=bootstrap.model_store(values),
            models=bootstrap.open_models(values, storage),
        )
    finally:
        storage.database.close()

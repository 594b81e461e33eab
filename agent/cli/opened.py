"""The node's data for one command: opened, given, closed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.cli.border import ConfigOption

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from agent.bootstrap import Storage
    from agent.model_store import ModelStore
    from agent.models_in_use import Models
    from agent.settings import Settings
    from storage.database import Database
    from storage.model_records import ModelVersion
    from storage.store import Store


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a command works on."""

    settings: "Settings"
    database: "Database"
    store: "Store"
    folders: "ModelStore"
    models: "Models"


@contextmanager
def storage(config: ConfigOption) -> "Iterator[Storage]":
    """The data folder and the database; no model is looked at."""
    from agent import bootstrap, settings

    found = bootstrap.open_storage(settings.load(config))
    try:
        yield found
    finally:
        found.database.close()


def wanted(session: "Session", model: str | None) -> "ModelVersion":
    """The named model, or the active one."""
    from agent import models_in_use
    from storage import registry

    return registry.find(session, model) if model else models_in_use.in_force(session)[0]


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

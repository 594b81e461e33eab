"""The only place that wires: from settings to a node, a store, a model."""

from agent.bootstrap.counterparts import appearance, destinations, profiles, report_address, sources
from agent.bootstrap.entrances import front_door, tls_files
from agent.bootstrap.kept import Storage, objects, open_storage, open_store, retention, try_bucket
from agent.bootstrap.page import status_server, status_site, users_file
from agent.bootstrap.reading import (
    drift_watch,
    hold,
    load_model,
    model_folder,
    model_store,
    models_on_cpu,
    open_models,
    series_rules,
    with_model,
)
from agent.bootstrap.running import build_node, training

__all__ = [
    "Storage",
    "appearance",
    "build_node",
    "destinations",
    "drift_watch",
    "front_door",
    "hold",
    "load_model",
    "model_folder",
    "model_store",
    "models_on_cpu",
    "objects",
    "open_models",
    "open_storage",
    "open_store",
    "profiles",
    "report_address",
    "retention",
    "series_rules",
    "sources",
    "status_server",
    "status_site",
    "tls_files",
    "training",
    "try_bucket",
    "users_file",
    "with_model",
]

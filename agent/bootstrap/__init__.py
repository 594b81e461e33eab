"""The only place that wires: from settings to a node, a store, a model.

A part is imported when its name is asked for: a command that lists studies needs the database, and
nothing of DICOM, models or the engine, whose imports take seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.bootstrap.counterparts import (
        appearance,
        destinations,
        profiles,
        report_address,
        sources,
    )
    from agent.bootstrap.entrances import front_door, tls_files
    from agent.bootstrap.kept import (
        Storage,
        objects,
        open_storage,
        open_store,
        retention,
        try_bucket,
    )
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

_PARTS = {
    "counterparts": ("appearance", "destinations", "profiles", "report_address", "sources"),
    "entrances": ("front_door", "tls_files"),
    "kept": ("Storage", "objects", "open_storage", "open_store", "retention", "try_bucket"),
    "page": ("status_server", "status_site", "users_file"),
    "reading": (
        *("drift_watch", "hold", "load_model", "model_folder", "model_store", "models_on_cpu"),
        *("open_models", "series_rules", "with_model"),
    ),
    "running": ("build_node", "training"),
}
_PART_OF = {name: part for part, names in _PARTS.items() for name in names}

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


def __getattr__(name: str) -> Any:
    if name not in _PART_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PART_OF[name]}"), name)

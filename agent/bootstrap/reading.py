"""From the settings to what reads a study: models, the rules for series, the watch over scores."""

import logging
from datetime import UTC, datetime
from pathlib import Path

from agent import inference, model_toml
from agent.bootstrap.kept import Storage, open_objects
from agent.dicom import series
from agent.drift import Rule
from agent.drift_watch import DriftWatch, Hold, never
from agent.inference import OnnxModel, Provider
from agent.model_store import ModelStore
from agent.model_toml import Precision
from agent.models_in_use import Models
from agent.settings import Settings
from storage import activations, registry
from storage.database import Database
from storage.enums import Origin

logger = logging.getLogger(__name__)


def model_folder(settings: Settings) -> Path:
    """The configured model, or the one that is shipped, at the configured precision."""
    folder = settings.model.folder or inference.default_folder()
    wanted = settings.model.precision
    return folder if wanted is None else model_toml.at_precision(folder, Precision(wanted))


def load_model(settings: Settings) -> OnnxModel:
    """Load the configured model by itself, without a node."""
    return inference.load(
        model_folder(settings),
        provider=Provider(settings.model.provider),
        threads=settings.model.threads,
        device=settings.model.device,
    )


def with_model(settings: Settings, folder: Path | str) -> Settings:
    """The same settings with another model folder."""
    chosen = settings.model.model_copy(update={"folder": Path(folder)})
    return settings.model_copy(update={"model": chosen})


def model_store(settings: Settings) -> ModelStore:
    """Where the node keeps its models."""
    return ModelStore(
        settings.node.data_dir,
        sequence=settings.series.sequence,
        shelf=open_objects(settings),
    )


def open_models(settings: Settings, storage: Storage) -> Models:
    """The models of this node. The first time, the configured one becomes active."""
    store = model_store(settings)
    configured = settings.model.folder or settings.model.precision
    origin = Origin.SHIPPED if settings.model.folder is None else Origin.CONFIGURED
    version = store.adopt(model_folder(settings), origin)
    with storage.database.begin() as session:
        known = registry.register(session, version)
        current = activations.in_force(session)
        if current is None:
            why = "the first start of this node"
            current = activations.activate(
                session, known, by="configuration", why=why, now=datetime.now(UTC)
            )
    if configured is not None and current.label != known.label:
        logger.warning(
            "the configuration names %s, but %s was made active on %s and reads studies; "
            "`neurosieve models activate` changes that",
            known.label,
            current.label,
            f"{current.at:%Y-%m-%d}",
            extra={"action": "configured_model_unused"},
        )
    return Models(
        database=storage.database,
        store=store,
        provider=Provider(settings.model.provider),
        threads=settings.model.threads,
        device=settings.model.device,
    )


def models_on_cpu(settings: Settings, database: Database) -> Models:
    """The models of this node where they give the same bytes every time."""
    return Models(
        database=database,
        store=model_store(settings),
        provider=Provider.CPU,
        threads=settings.model.threads,
    )


def drift_watch(settings: Settings, database: Database) -> DriftWatch:
    """What watches the scanners' scores."""
    rule = Rule(**settings.drift.model_dump(exclude={"hold"}))
    return DriftWatch(database=database, store=model_store(settings), rule=rule)


def hold(settings: Settings, database: Database) -> Hold:
    """Whose studies wait."""
    return drift_watch(settings, database).hold if settings.drift.hold else never


def series_rules(settings: Settings) -> series.SeriesRules:
    """The configured rules; what is not configured keeps its default."""
    chosen = settings.series.model_dump(exclude_none=True, exclude={"sequence"})
    return series.SeriesRules(**chosen)

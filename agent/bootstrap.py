"""The only place that wires: from settings to a node, a store, a model."""

import logging
import os
import socket
import sys
import uuid
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib import metadata, util
from pathlib import Path

from filelock import FileLock

from agent import entrances, inference, training_order
from agent.completion import Completion
from agent.composition import Appearance
from agent.delivery import DeliverySteps
from agent.dicom import series
from agent.dicom.listener import Listener
from agent.dicom.objects.profiles import MapValues, Profile, ReportClass, Slices, Syntax
from agent.dicom.peer import Destination
from agent.dicom.receipts import Receipts
from agent.dicom.tls import Identity
from agent.dicom.transport import AnyDestination
from agent.dicom.web import WebDestination
from agent.drift import Rule
from agent.drift_watch import DriftWatch, Hold, never
from agent.engine import Jobs, Patience, Worker
from agent.errors import ConfigurationError
from agent.inference import OnnxModel, Provider
from agent.model_store import ModelStore
from agent.models_in_use import Models
from agent.node import Node, Reception, Training, Work
from agent.settings import DestinationSettings, ResultSettings, Settings
from agent.status import application, users
from agent.status import node_view as status
from agent.status.server import Address, StatusServer
from agent.steps import AnalysisSteps
from agent.training import TrainingSteps
from agent.training_queue import TrainingWorker
from storage import activations, registry, results
from storage.database import Database, open_database
from storage.files import BYTES_PER_GB, FileStore
from storage.records import Origin, Role, SopUid

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Where everything is kept, ready for use."""

    database: Database
    store: FileStore


def open_store(settings: Settings) -> FileStore:
    """Open the data folder, and make it where there is none."""
    folder = settings.node.data_dir
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform != "win32":
        folder.chmod(0o700)  # patient data: for the service account only
    return FileStore(folder, reserve_bytes=int(settings.node.reserve_gb * BYTES_PER_GB))


def open_storage(settings: Settings) -> Storage:
    """Open the data folder and the database, and bring its schema up to date."""
    store = open_store(settings)
    database = open_database(settings.database_url)
    database.migrate()
    return Storage(database=database, store=store)


def model_folder(settings: Settings) -> Path:
    """The configured model, or the one that is shipped."""
    return settings.model.folder or inference.default_folder()


def load_model(settings: Settings) -> OnnxModel:
    """Load the configured model by itself, without a node."""
    return inference.load(
        model_folder(settings),
        provider=Provider(settings.model.provider),
        threads=settings.model.threads,
    )


def model_store(settings: Settings) -> ModelStore:
    """Where the node keeps its models."""
    return ModelStore(settings.node.data_dir, sequence=settings.series.sequence)


def open_models(settings: Settings, storage: Storage) -> Models:
    """The models of this node. The first time, the configured one becomes active."""
    store = model_store(settings)
    configured = settings.model.folder
    origin = Origin.SHIPPED if configured is None else Origin.CONFIGURED
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
            "model.folder names %s, but %s was made active on %s and reads studies; "
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


def destinations(settings: Settings) -> tuple[AnyDestination, ...]:
    """Where results go."""
    identity = entrances.identity_for_calls(settings.tls)
    return tuple(_destination(one, identity) for one in settings.destinations)


def _destination(one: DestinationSettings, identity: Identity | None) -> AnyDestination:
    if one.transport == "stow":
        return WebDestination(
            **one.model_dump(include={one.name for one in fields(WebDestination)})
        )
    return Destination(
        name=one.name,
        ae_title=one.ae_title,
        host=one.host,
        port=one.port,
        identity=identity if one.tls else None,
    )


def appearance(settings: Settings, namespace: uuid.UUID) -> Appearance:
    """How result objects look where no destination says otherwise."""
    return Appearance(
        namespace=namespace,
        device_name=settings.node.ae_title,
        profile=_profile(settings.results),
    )


def profiles(settings: Settings) -> dict[str, Profile]:
    """What each destination gets, by its name."""
    return {one.name: _profile(settings.results_for(one)) for one in settings.destinations}


def _profile(wanted: ResultSettings) -> Profile:
    described = sorted(wanted.series_descriptions.items())
    return Profile(
        report=ReportClass(wanted.report),
        segmentation=wanted.segmentation,
        heatmap=Slices(wanted.heatmap),
        parametric_map=MapValues(wanted.parametric_map),
        key_images=wanted.key_images,
        derived_series=wanted.derived_series,
        rejection_note=wanted.rejection_note,
        transfer_syntax=Syntax(wanted.transfer_syntax),
        series_number_base=wanted.series_number_base,
        series_descriptions=tuple((Role(name.upper()), text) for name, text in described),
    )


def build_node(settings: Settings, *, listens: bool, works: bool, trains: bool = False) -> Node:
    """Wire one process. Nothing runs before `Node.start`."""
    if trains:
        training_order.need_torch()
    storage = open_storage(settings)
    jobs = Jobs(storage.database)
    reception = _reception(settings, storage, jobs) if listens else None
    shows = settings.status.enabled and reception is not None
    return Node(
        database=storage.database,
        jobs=jobs,
        reception=reception,
        work=_work(settings, storage, jobs) if works else None,
        status=status_server(settings, storage, reception) if shows else None,
        training=training(settings, storage, jobs) if trains else None,
    )


def status_site(
    settings: Settings, storage: Storage, reception: Reception | None = None
) -> status.Site:
    """What the status page shows of this node."""
    return status.Site(
        database=storage.database,
        store=storage.store,
        ae_title=settings.node.ae_title,
        address=f"{settings.node.host}:{settings.node.port}",
        version=metadata.version("neurosieve"),
        places=tuple(_place(one) for one in settings.destinations),
        folder_of=model_store(settings).folder_of,
        drift=drift_watch(settings, storage.database).alarms,
        accepts=(lambda: reception.listener.is_open) if reception else None,
        show_patient_names=settings.status.show_patient_names,
    )


def users_file(settings: Settings) -> Path:
    """Who may see the status page."""
    return settings.node.data_dir / users.FILE_NAME


def status_server(
    settings: Settings, storage: Storage, reception: Reception | None = None
) -> StatusServer:
    """The status page; where a login is needed and nobody has one, it only tells of its health."""
    wanted = settings.status
    if wanted.is_guarded and not users.names(users_file(settings)):
        logger.warning(
            "Nobody can sign in at the status page yet: `neurosieve users add NAME`",
            extra={"action": "status_page_without_users"},
        )
    guard = status.Guard(
        users=users_file(settings) if wanted.is_guarded else None,
        hosts=("127.0.0.1", "localhost", wanted.host, socket.gethostname(), *wanted.hosts),
        secure_cookie=wanted.secure_cookie,
        session_seconds=wanted.session_hours * 3600.0,
        metrics_token_file=wanted.metrics_token_file,
    )
    address = Address(
        host=wanted.host,
        port=wanted.port,
        certificate_file=wanted.certificate_file,
        key_file=wanted.key_file,
    )
    return StatusServer(
        application.build(status_site(settings, storage, reception), guard), address
    )


def _place(one: DestinationSettings) -> status.Place:
    address = one.url if one.transport == "stow" else f"{one.ae_title} at {one.host}:{one.port}"
    return status.Place(name=one.name, address=address, transport=one.transport.upper())


def training(settings: Settings, storage: Storage, jobs: Jobs) -> Training:
    """The role that retrains."""
    data_dir = settings.node.data_dir.resolve()
    steps = TrainingSteps(database=storage.database, store=model_store(settings), data_dir=data_dir)
    worker = TrainingWorker(database=storage.database, jobs=jobs, steps=steps)
    return Training(worker=worker, lock=FileLock(data_dir / "training.lock"))


def _reception(settings: Settings, storage: Storage, jobs: Jobs) -> Reception:
    receipts = Receipts(storage.database)

    def is_ours(sop_uid: SopUid) -> bool:
        with storage.database.read() as session:
            return results.is_our_object(session, sop_uid)

    listener = Listener(
        ae_title=settings.node.ae_title,
        host=settings.node.host,
        port=settings.node.port,
        store=storage.store,
        receipts=receipts,
        is_ours=is_ours,
        door=entrances.front_door(settings),
        quota=entrances.quota(settings.node),
        tls=entrances.by_tls(settings.tls),
        is_plain=not settings.tls.only,
    )
    completion = Completion(
        database=storage.database,
        jobs=jobs,
        listener=listener,
        quiet_seconds=settings.quiet_seconds,
    )
    return Reception(
        database=storage.database,
        store=storage.store,
        receipts=receipts,
        listener=listener,
        completion=completion,
    )


def _work(settings: Settings, storage: Storage, jobs: Jobs) -> Work:
    models = open_models(settings, storage)
    models(None)  # a model that cannot be loaded must stop the start, not the first study
    wanted = profiles(settings)
    analysis = AnalysisSteps(
        database=storage.database,
        store=storage.store,
        models=models,
        rules=series_rules(settings),
        appearance=appearance(settings, _installation(settings.node.data_dir)),
        profiles=wanted,
        hold=hold(settings, storage.database),
    )
    delivery = DeliverySteps(
        database=storage.database,
        store=storage.store,
        destinations=destinations(settings),
        calling_ae=settings.node.ae_title,
        profiles={name: profile.digest for name, profile in wanted.items()},
    )
    worker = Worker(
        database=storage.database,
        jobs=jobs,
        analysis=analysis,
        delivery=delivery,
        # The slot alone, not the host's name: a container that comes back under another name must
        # find what it left. The lock below keeps two workers out of one slot.
        executor_id=f"worker-{settings.node.slot}",
        step_patience=Patience(
            maximum_tries=settings.work.maximum_tries,
            first_retry_seconds=settings.work.first_retry_seconds,
        ),
        delivery_patience=Patience(
            maximum_tries=settings.delivery.maximum_tries,
            first_retry_seconds=settings.delivery.first_retry_seconds,
            longest_retry_seconds=settings.delivery.longest_retry_seconds,
        ),
        traces_endpoint=_traces_endpoint(settings),
    )
    lock = FileLock(settings.node.data_dir / f"worker-{settings.node.slot}.lock")
    return Work(database=storage.database, jobs=jobs, worker=worker, lock=lock)


def _traces_endpoint(settings: Settings) -> str:
    endpoint = settings.telemetry.traces_endpoint
    if endpoint and util.find_spec("opentelemetry") is None:
        raise ConfigurationError(
            "telemetry.traces_endpoint needs OpenTelemetry; `pip install neurosieve[otel]`."
        )
    return endpoint


def with_model(settings: Settings, folder: Path | str) -> Settings:
    """The same settings with another model folder."""
    chosen = settings.model.model_copy(update={"folder": Path(folder)})
    return settings.model_copy(update={"model": chosen})


def _installation(data_dir: Path) -> uuid.UUID:
    """The identity under which UIDs are made; written once, then never changed."""
    path = data_dir / "installation"
    if not path.exists():
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(f"{uuid.uuid4()}\n", encoding="ascii")
        temporary.replace(path)
    return uuid.UUID(path.read_text(encoding="ascii").strip())

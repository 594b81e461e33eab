"""The only place that wires: from settings to a node, a store, a model."""

import logging
import socket
import sys
import uuid
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import partial
from importlib import metadata, util
from pathlib import Path

from filelock import FileLock

from agent import (
    audit_trail,
    backup,
    confinement,
    ending,
    inference,
    training_order,
    training_queue,
)
from agent.audit_trail import Seldom, Tell, Trail
from agent.completeness import Limits
from agent.completion import Completion
from agent.composition import Appearance
from agent.confirmation import Confirm, Confirmation
from agent.delivery import DeliverySteps
from agent.dicom import series, tls
from agent.dicom.admission import Quota, TlsEntrance
from agent.dicom.commitment_scp import CommitmentProvider
from agent.dicom.commitment_services import CommitmentServices
from agent.dicom.front_door import FrontDoor, Sender
from agent.dicom.holdings import Source
from agent.dicom.kept_images import KeptImages
from agent.dicom.listener import Listener
from agent.dicom.objects.profiles import MapValues, Profile, ReportClass, Slices, Syntax
from agent.dicom.peer import Destination
from agent.dicom.receipts import Receipts
from agent.dicom.tls import TlsFiles
from agent.dicom.transport import AnyDestination
from agent.dicom.web import WebDestination
from agent.drift import Rule
from agent.drift_watch import DriftWatch, Hold, never
from agent.engine import Patience, Worker
from agent.errors import ConfigurationError
from agent.housekeeping import Housekeeping
from agent.inference import OnnxModel, Provider
from agent.inquiries import Inquiries
from agent.jobs import Jobs
from agent.liveness import Heart
from agent.model_store import ModelStore
from agent.models_in_use import Models
from agent.node import Node, Reception, Training, Work
from agent.retention import Policy, Retention
from agent.settings import (
    DestinationSettings,
    PeerSettings,
    ResultSettings,
    Settings,
    TlsSettings,
)
from agent.status import application, users
from agent.status import node_view as status
from agent.status.server import Address, StatusServer
from agent.steps import AnalysisSteps
from agent.training import TrainingSteps
from agent.training_queue import TrainingWorker
from storage import activations, durable, registry, results
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
    """Open the data folder, and make it where there is none.

    From here on the process makes no file that another account may read.
    """
    confinement.keep_files_private()
    folder = settings.node.data_dir
    backup.check_whole(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform != "win32":
        folder.chmod(0o700)  # patient data: for the service account only
    return FileStore(
        folder,
        reserve_bytes=int(settings.node.reserve_gb * BYTES_PER_GB),
        watermark_percent=settings.node.watermark_percent,
    )


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
    files = tls_files(settings.tls)
    identity = tls.for_calls(files) if files is not None else None
    return tuple(_destination(one, identity) for one in settings.destinations)


def _destination(one: DestinationSettings, identity: tls.Identity | None) -> AnyDestination:
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
    trail = Trail(storage.database)
    reception = _reception(settings, storage, jobs, trail) if listens else None
    shows = settings.status.enabled and reception is not None
    return Node(
        name=settings.node.ae_title,
        trail=trail,
        database=storage.database,
        jobs=jobs,
        reception=reception,
        work=_work(settings, storage, jobs) if works else None,
        status=status_server(settings, storage, reception, trail.tell) if shows else None,
        training=training(settings, storage, jobs) if trains else None,
        housekeeping=Housekeeping(retention(settings, storage)) if works else None,
    )


def retention(settings: Settings, storage: Storage, *, dry_run: bool = False) -> Retention:
    """What removes the files of old studies; by default it lets everything stay."""
    return Retention(
        database=storage.database,
        store=storage.store,
        policy=Policy(**settings.retention.model_dump()),
        dry_run=dry_run,
    )


def status_site(
    settings: Settings,
    storage: Storage,
    reception: Reception | None = None,
    tell: Tell = audit_trail.ignore,
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
        tell=tell,
    )


def users_file(settings: Settings) -> Path:
    """Who may see the status page."""
    return settings.node.data_dir / users.FILE_NAME


def status_server(
    settings: Settings,
    storage: Storage,
    reception: Reception | None = None,
    tell: Tell = audit_trail.ignore,
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
        application.build(status_site(settings, storage, reception, tell), guard), address
    )


def _place(one: DestinationSettings) -> status.Place:
    address = one.url if one.transport == "stow" else f"{one.ae_title} at {one.host}:{one.port}"
    return status.Place(name=one.name, address=address, transport=one.transport.upper())


def training(settings: Settings, storage: Storage, jobs: Jobs) -> Training:
    """The role that retrains."""
    data_dir = settings.node.data_dir.resolve()
    steps = TrainingSteps(database=storage.database, store=model_store(settings), data_dir=data_dir)
    worker = TrainingWorker(database=storage.database, jobs=jobs, steps=steps)
    return Training(
        worker=worker,
        lock=FileLock(data_dir / "training.lock"),
        heart=_heart(settings, storage, training_queue.EXECUTOR),
    )


def _heart(settings: Settings, storage: Storage, executor_id: str) -> Heart | None:
    """What tells other hosts that this one lives; SQLite has none."""
    if storage.database.engine.dialect.name != "postgresql":
        return None
    return Heart(
        storage.database,
        executor_id=executor_id,
        place=f"{socket.gethostname()}:{settings.node.data_dir.resolve()}",
        lease_seconds=settings.work.lease_seconds,
    )


def front_door(settings: Settings) -> FrontDoor:
    """Who may open an association with this node."""
    # A destination reports on storage commitment over an association of its own.
    reporters = [
        Sender(ae_title=one.ae_title, host=one.host)
        for one in settings.destinations
        if one.transport == "dimse" and one.confirm in ("auto", "commitment")
    ]
    return FrontDoor([*_senders(settings), *reporters], anyone=settings.node.accept == "anyone")


def _senders(settings: Settings) -> list[Sender]:
    return [
        Sender(ae_title=one.ae_title, host=one.host, certificate=one.certificate)
        for one in settings.peers
    ]


def report_address(settings: Settings, ae_title: str, caller: str) -> Destination | None:
    """Where a peer takes our reports on storage commitment; it called from that address."""
    for peer in settings.peers:
        if peer.ae_title == ae_title:
            host = caller if "/" in peer.host else peer.host  # a network is no place to call
            return Destination(name=ae_title, ae_title=ae_title, host=host, port=peer.port)
    known = (one for one in destinations(settings) if isinstance(one, Destination))
    return next((one for one in known if one.ae_title == ae_title), None)


def _commitment(settings: Settings, storage: Storage, receipts: Receipts) -> CommitmentServices:
    held = KeptImages(database=storage.database, store=storage.store, receipts=receipts)
    provider = CommitmentProvider(
        ae_title=settings.node.ae_title,
        examine=held.examine,
        address_of=partial(report_address, settings),
    )
    return CommitmentServices(
        provider=provider,
        take=partial(ending.take_report, storage.database),
        senders=FrontDoor(_senders(settings), anyone=settings.node.accept == "anyone"),
    )


def sources(settings: Settings) -> dict[str, Source]:
    """The senders that may be asked what they hold, by their AE titles."""
    return {one.ae_title: _source(settings, one) for one in settings.peers if one.ask != "off"}


def _source(settings: Settings, one: PeerSettings) -> Source:
    called = Destination(name=one.ae_title, ae_title=one.ae_title, host=one.host, port=one.port)
    web = {field.name for field in fields(WebDestination)} & set(PeerSettings.model_fields)
    asked = WebDestination(name=one.ae_title, **one.model_dump(include=web)) if one.url else called
    return Source(
        ae_title=one.ae_title,
        at=asked,
        mover=called if one.ask == "move" else None,
        calling_ae=settings.node.ae_title,
    )


def tls_files(wanted: TlsSettings) -> TlsFiles | None:
    """The files of [tls], where it is on."""
    if wanted.certificate_file is None or wanted.key_file is None or wanted.ca_file is None:
        return None
    return TlsFiles(
        certificate_file=wanted.certificate_file,
        key_file=wanted.key_file,
        ca_file=wanted.ca_file,
    )


def _tls_entrance(wanted: TlsSettings) -> TlsEntrance | None:
    files = tls_files(wanted)
    if files is None:
        return None
    identity = tls.for_callers(files, client_certificates=wanted.client_certificates)
    return TlsEntrance(port=wanted.port, identity=identity)


def _reception(settings: Settings, storage: Storage, jobs: Jobs, trail: Trail) -> Reception:
    receipts = Receipts(storage.database, storage.store)
    seldom = Seldom()

    def is_ours(sop_uid: SopUid) -> bool:
        with storage.database.read() as session:
            return results.is_our_object(session, sop_uid)

    def on_rejected(title: str, address: str) -> None:
        if seldom.may_pass(address):
            trail.tell(title, audit_trail.ASSOCIATION_REJECTED, address)

    listener = Listener(
        ae_title=settings.node.ae_title,
        host=settings.node.host,
        port=settings.node.port,
        store=storage.store,
        receipts=receipts,
        is_ours=is_ours,
        door=front_door(settings),
        commitment=_commitment(settings, storage, receipts),
        on_rejected=on_rejected,
        quota=Quota(
            associations=settings.node.maximum_associations,
            associations_per_peer=settings.node.maximum_per_peer,
            object_bytes=settings.node.maximum_object_mb * 1024 * 1024,
            request_seconds=settings.node.request_seconds,
        ),
        tls=_tls_entrance(settings.tls),
        is_plain=not settings.tls.only,
    )
    completion = Completion(
        database=storage.database,
        jobs=jobs,
        listener=listener,
        inquiries=Inquiries(
            database=storage.database,
            store=storage.store,
            sources=sources(settings),
            expected_series=settings.completion.expected_series,
        ),
        limits=lambda ae_title: Limits(
            quiet_seconds=settings.quiet_seconds(ae_title),
            wait_seconds=settings.completion.wait_seconds,
        ),
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
        confirmation=Confirmation(
            database=storage.database,
            calling_ae=settings.node.ae_title,
            ways={one.name: Confirm(one.confirm) for one in settings.destinations},
            commitment_seconds=settings.delivery.commitment_seconds,
        ),
    )
    worker = Worker(
        database=storage.database,
        jobs=jobs,
        analysis=analysis,
        delivery=delivery,
        # The slot alone, not the host's name: a container that comes back under another name must
        # find what it left. The lock below keeps two workers out of one slot, and the lease on
        # PostgreSQL those of two hosts.
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
    return Work(
        database=storage.database,
        jobs=jobs,
        worker=worker,
        lock=lock,
        heart=_heart(settings, storage, worker.executor_id),
    )


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
        durable.write(path, [f"{uuid.uuid4()}\n".encode("ascii")])
    return uuid.UUID(path.read_text(encoding="ascii").strip())

"""From the settings to a running node with its roles."""

import socket
import uuid
from functools import partial
from importlib import util

from filelock import FileLock

from agent import audit_trail, ending, training_order, training_queue
from agent.audit_trail import Seldom, Trail
from agent.bootstrap.counterparts import (
    appearance,
    destinations,
    profiles,
    report_address,
    sources,
)
from agent.bootstrap.entrances import by_tls, front_door, quota, senders
from agent.bootstrap.kept import Storage, installation, open_storage, retention
from agent.bootstrap.page import status_server
from agent.bootstrap.reading import hold, model_store, open_models, series_rules
from agent.completeness import Limits
from agent.completion import Completion
from agent.confirmation import Confirm, Confirmation
from agent.delivery import DeliverySteps
from agent.dicom.commitment_scp import CommitmentProvider
from agent.dicom.commitment_services import CommitmentServices
from agent.dicom.front_door import FrontDoor
from agent.dicom.kept_images import KeptImages
from agent.dicom.listener import Listener
from agent.dicom.receipts import Receipts
from agent.engine import Patience, Worker
from agent.errors import ConfigurationError
from agent.housekeeping import Housekeeping
from agent.inquiries import Inquiries
from agent.jobs import Jobs
from agent.liveness import Heart
from agent.node import Node, Reception, Training, Work
from agent.presence import Presence
from agent.pruning import Pruning
from agent.settings import Settings
from agent.steps import AnalysisSteps
from agent.tidying import Tidying
from agent.training import TrainingSteps
from agent.training_queue import TrainingWorker
from storage import executors, results
from storage.records import SopUid


def build_node(settings: Settings, *, listens: bool, works: bool, trains: bool = False) -> Node:
    """Wire one process. Nothing runs before `Node.start`."""
    if trains:
        training_order.need_torch()
    storage = open_storage(settings)
    jobs = Jobs(storage.database)
    trail = Trail(storage.database)
    identity = installation(storage)
    reception = _reception(settings, storage, jobs, trail) if listens else None
    shows = settings.status.enabled and reception is not None
    return Node(
        name=settings.node.ae_title,
        trail=trail,
        database=storage.database,
        jobs=jobs,
        reception=reception,
        work=_work(settings, storage, jobs, identity) if works else None,
        status=status_server(settings, storage, reception, trail.tell) if shows else None,
        training=training(settings, storage, jobs) if trains else None,
        housekeeping=_housekeeping(settings, storage, jobs) if works else None,
    )


def _housekeeping(settings: Settings, storage: Storage, jobs: Jobs) -> Housekeeping:
    pruning = Pruning(database=storage.database, jobs=jobs)
    return Housekeeping(retention(settings, storage), pruning)


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
        quota=quota(settings.node),
        tls=by_tls(settings.tls),
        is_plain=not settings.tls.only,
    )
    tidying = Tidying(storage.store, storage.database)
    presence = _presence(settings, storage, listener, tidying)
    completion = Completion(
        database=storage.database,
        jobs=jobs,
        listener=presence or listener,
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
        tidying=tidying,
        presence=presence,
    )


def _commitment(settings: Settings, storage: Storage, receipts: Receipts) -> CommitmentServices:
    held = KeptImages(
        database=storage.database,
        store=storage.store,
        receipts=receipts,
        looks_twice=_is_shared(storage),
    )
    provider = CommitmentProvider(
        ae_title=settings.node.ae_title,
        examine=held.examine,
        address_of=partial(report_address, settings),
    )
    return CommitmentServices(
        provider=provider,
        take=partial(ending.take_report, storage.database),
        senders=FrontDoor(senders(settings), anyone=settings.node.accept == "anyone"),
    )


def _work(settings: Settings, storage: Storage, jobs: Jobs, identity: uuid.UUID) -> Work:
    models = open_models(settings, storage)
    models(None)  # a model that cannot be loaded must stop the start, not the first study
    wanted = profiles(settings)
    analysis = AnalysisSteps(
        database=storage.database,
        store=storage.store,
        models=models,
        rules=series_rules(settings),
        appearance=appearance(settings, identity),
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
        executor_id=f"{executors.WORKER}{settings.node.slot}",
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
    if not _is_shared(storage):
        return None
    return Heart(
        storage.database,
        executor_id=executor_id,
        place=_place(settings),
        lease_seconds=settings.work.lease_seconds,
    )


def _presence(
    settings: Settings, storage: Storage, listener: Listener, tidying: Tidying
) -> Presence | None:
    """What tells other listeners of this one; on SQLite there is one."""
    if not _is_shared(storage):
        return None
    return Presence(
        storage.database,
        storage.store,
        listener,
        look_at_all=tidying.look_again,
        place=_place(settings),
        lease_seconds=settings.work.lease_seconds,
    )


def _is_shared(storage: Storage) -> bool:
    """Whether other hosts may work with this database."""
    return storage.database.engine.dialect.name == "postgresql"


def _place(settings: Settings) -> str:
    return f"{socket.gethostname()}:{settings.node.data_dir.resolve()}"


def _traces_endpoint(settings: Settings) -> str:
    endpoint = settings.telemetry.traces_endpoint
    if endpoint and util.find_spec("opentelemetry") is None:
        raise ConfigurationError(
            "telemetry.traces_endpoint needs OpenTelemetry; `pip install neurosieve[otel]`."
        )
    return endpoint

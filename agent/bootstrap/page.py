"""From the settings to the status page."""

import logging
import socket
from importlib import metadata
from pathlib import Path

from agent import audit_trail
from agent.audit_trail import Tell
from agent.bootstrap.kept import Storage
from agent.bootstrap.reading import drift_watch, model_store
from agent.node import Reception
from agent.settings import DestinationSettings, Settings
from agent.status import application, users
from agent.status import node_view as status
from agent.status.remembered import Remembered
from agent.status.server import Address, StatusServer

logger = logging.getLogger(__name__)


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
        drift=Remembered(drift_watch(settings, storage.database).alarms),
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

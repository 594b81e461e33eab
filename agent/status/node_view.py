"""What the status page shows and how it is guarded, as plain values."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from agent import audit_trail
from agent.audit_trail import Tell
from agent.status.remembered import Counts
from storage.database import Database
from storage.model_records import ModelVersion
from storage.store import Store


@dataclass(frozen=True, kw_only=True)
class Place:
    """A destination, as an administrator knows it."""

    name: str
    address: str
    transport: str


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Site:
    """One node as its page sees it.

    `accepts` is None where this process does not listen; `problems` are sentences of the process
    itself, `drift` those of the drift watch. `tell` notes in the audit who did what to what.
    """

    database: Database
    store: Store
    ae_title: str
    address: str  # host and port of the DICOM listener
    version: str
    places: tuple[Place, ...]
    folder_of: Callable[[ModelVersion], Path]
    accepts: Callable[[], bool] | None = None
    drift: Callable[[], tuple[str, ...]] = tuple
    show_patient_names: bool = False
    tell: Tell = audit_trail.ignore
    counts: Counts = field(default_factory=Counts)
    queue_seconds: float = 1800.0  # a study that waits longer is an alarm
    delivery_seconds: float = 3600.0


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Who may see the page. `users` is None where no login is asked for."""

    users: Path | None
    hosts: tuple[str, ...]
    secure_cookie: bool = False
    session_seconds: float = 8 * 3600.0
    metrics_token_file: Path | None = None
    login_seconds: float = field(default=1.0)  # an answer to a wrong password takes this long

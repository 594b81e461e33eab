"""What is wrong, in words, and what to do about it; the page, the metrics and `doctor` agree."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy.orm import Session

from agent.status import workers
from agent.status.node_view import Site
from storage import audit, figures, registry, training
from storage.enums import TrainingState
from storage.errors import StorageError
from storage.files import BYTES_PER_GB

TRIAL_BEGAN = "trial began"  # in the audit, with the model as its subject
_SHADOW_TIME = timedelta(hours=1)
_SHADOW_SPAN = timedelta(days=1)


class Severity(StrEnum):
    """How soon a person must act."""

    CRITICAL = "critical"  # studies are lost to the readers until somebody acts
    WARNING = "warning"


class Kind(StrEnum):
    """Every alarm there is."""

    DATABASE = "database"
    DISK_LOW = "disk_low"
    LISTENER = "listener"
    STUDIES_FAILED = "studies_failed"
    QUEUE_OLD = "queue_old"
    NO_WORKER = "no_worker"
    DELIVERY_STUCK = "delivery_stuck"
    DELIVERY_FAILED = "delivery_failed"
    UNCONFIRMED = "unconfirmed"
    SHADOW_SILENT = "shadow_silent"
    TRAINING_FAILED = "training_failed"
    DRIFT = "drift"


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One thing that is wrong: what, and what helps."""

    kind: Kind
    severity: Severity
    what: str
    todo: str


def find(site: Site, now: datetime) -> tuple[Alarm, ...]:
    """Everything that is wrong now, the worst first."""
    found = [*_outside(site)]
    try:
        with site.database.read() as session:
            found += _inside(site, session, now)
        found += _drift(site)
    except StorageError as error:
        found.append(
            _critical(Kind.DATABASE, str(error), "Start the database, or make room on its disk.")
        )
    return tuple(sorted(found, key=lambda one: one.severity is not Severity.CRITICAL))


def _outside(site: Site) -> Iterator[Alarm]:
    room = site.store.room()
    free, kept = room.free_bytes, room.kept_bytes
    if free < kept:
        yield _critical(
            Kind.DISK_LOW,
            f"The disk is full: {gb(free)} are free, {gb(kept)} are the reserve, so images are "
            "refused.",
            "Make room on the disk that holds the data folder.",
        )
    elif free < room.low_bytes:
        yield _warning(
            Kind.DISK_LOW,
            f"The disk is getting full: {gb(free)} are free, and images are refused below "
            f"{gb(kept)}.",
            "Make room on the disk that holds the data folder.",
        )
    if site.accepts is not None and not site.accepts():
        yield _critical(
            Kind.LISTENER,
            f"The node does not accept associations at {site.address}.",
            "Look at the log, then restart the service.",
        )


def _inside(site: Site, session: Session, now: datetime) -> Iterator[Alarm]:
    failed = figures.failed(session)
    if failed:
        few = "One study has" if len(failed) == 1 else f"{len(failed)} studies have"
        yield _critical(
            Kind.STUDIES_FAILED,
            f"{few} failed. Latest reason: {failed[0].error or 'not known'}",
            "Open it below, mend the cause, then run `neurosieve studies retry`.",
        )
    yield from _queue(site, session, now)
    yield from _deliveries(site, session, now)
    yield from _unconfirmed(site, session, now)
    yield from _models(session, now)


def _queue(site: Site, session: Session, now: datetime) -> Iterator[Alarm]:
    waiting_since = figures.oldest_waiting(session)
    alive = any(one.alive for one in workers.seen(site.store.root, site.database))
    if waiting_since and not alive:
        yield _critical(
            Kind.NO_WORKER,
            "Studies wait and no worker runs.",
            "Start the service, or `neurosieve work`.",
        )
    elif waiting_since and (now - waiting_since).total_seconds() > site.queue_seconds:
        yield _warning(
            Kind.QUEUE_OLD,
            f"A study has waited for {words(now - waiting_since)}.",
            "See whether a worker hangs; more workers read more studies at once.",
        )


def _deliveries(site: Site, session: Session, now: datetime) -> Iterator[Alarm]:
    since = figures.oldest_undelivered(session)
    if since and (now - since).total_seconds() > site.delivery_seconds:
        yield _warning(
            Kind.DELIVERY_STUCK,
            f"Results have waited for their destination for {words(now - since)}.",
            "Run `neurosieve destinations test`; the node goes on trying by itself.",
        )
    for one in figures.failed_deliveries(session):
        yield _warning(
            Kind.DELIVERY_FAILED,
            f"{one.destination} refused or lost {one.count} result object(s).",
            "Open the study to see the answer, then run `neurosieve studies retry`.",
        )


def _unconfirmed(site: Site, session: Session, now: datetime) -> Iterator[Alarm]:
    for one in figures.unconfirmed(session):
        if (now - one.oldest_at).total_seconds() > site.delivery_seconds:
            yield _warning(
                Kind.UNCONFIRMED,
                f"{one.destination} has taken {one.count} result object(s) and for "
                f"{words(now - one.oldest_at)} not proven that it keeps them.",
                "See that it knows our AE title, host and port; `neurosieve destinations test`.",
            )


def _models(session: Session, now: datetime) -> Iterator[Alarm]:
    shadow = registry.shadow(session)
    if shadow is not None:
        began = audit.newest(session, TRIAL_BEGAN).get(shadow.label, shadow.registered_at)
        since = max(now - _SHADOW_SPAN, began)
        total, missing = figures.untried_shadows(session, since=since, until=now - _SHADOW_TIME)
        if total >= 3 and missing == total:
            yield _warning(
                Kind.SHADOW_SILENT,
                f"The model on trial, {shadow.label}, read none of the last {total} studies.",
                "Look for `shadow_failed` in the log.",
            )
    runs = training.list_runs(session, limit=1)
    if runs and runs[0].state is TrainingState.FAILED:
        yield _warning(
            Kind.TRAINING_FAILED,
            f"Training {runs[0].name} failed: {runs[0].error or 'no reason is known'}",
            "Mend the cause and run `neurosieve retrain` again.",
        )


def _drift(site: Site) -> Iterator[Alarm]:
    for sentence in site.drift():
        yield _warning(
            Kind.DRIFT, sentence, "Ask whether the protocol changed; calibrate the thresholds anew."
        )


def gb(size_bytes: float) -> str:
    """A size as people say it."""
    return f"{size_bytes / BYTES_PER_GB:.1f} GB"


def words(span: timedelta) -> str:
    """A span of time as people say it."""
    seconds = max(0, int(span.total_seconds()))
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit:
            count = seconds // unit
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{seconds} second{'s' if seconds != 1 else ''}"


def _critical(kind: Kind, what: str, todo: str) -> Alarm:
    return Alarm(kind=kind, severity=Severity.CRITICAL, what=what, todo=todo)


def _warning(kind: Kind, what: str, todo: str) -> Alarm:
    return Alarm(kind=kind, severity=Severity.WARNING, what=what, todo=todo)

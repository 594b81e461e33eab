"""What Prometheus reads. Counted in the database, so that all processes agree, at every scrape or
as often as that costs little (`remembered`).

No patient data and no UIDs in labels.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from agent.status import alarms, workers
from agent.status.node_view import Site, now
from storage import activations, figures, registry, training
from storage.enums import StudyState
from storage.errors import StorageError

BUCKETS_SECONDS = (5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
_DAY = timedelta(days=1)


class NodeCollector(Collector):
    """Gathers everything of one node."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def describe(self) -> Iterable[Metric]:
        """Nothing: asking for it must not read the database."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every metric, freshly counted."""
        site, moment = self._site, now()
        yield _info("neurosieve_build", "Version of the node.", {"version": site.version})
        yield from _disk(site)
        yield _alarms(site, moment)
        yield _workers(site)
        try:
            with site.database.read() as session:
                counted = [*_counted(site, session, moment)]
        except StorageError:
            counted = []
        up = GaugeMetricFamily("neurosieve_database_up", "Whether the database answers.")
        up.add_metric((), float(bool(counted)))
        yield up
        yield from counted


def scrape(site: Site) -> bytes:
    """Everything in the text format of Prometheus."""
    collectors = CollectorRegistry(auto_describe=False)
    collectors.register(NodeCollector(site))
    return generate_latest(collectors)


def _info(name: str, text: str, labels: dict[str, str]) -> Metric:
    family = InfoMetricFamily(name, text)
    family.add_metric((), labels)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _disk(site: Site) -> Iterator[Metric]:
    yield _gauge(
        "neurosieve_disk_free_bytes",
        "Free room for images and results.",
        site.store.room().free_bytes,
    )
    yield _gauge(
        "neurosieve_disk_reserve_bytes",
        "Images are refused when less room is free.",
        site.store.room().kept_bytes,
    )


def _alarms(site: Site, moment: datetime) -> Metric:
    standing = {(one.kind, one.severity) for one in alarms.find(site, moment)}
    family = GaugeMetricFamily(
        "neurosieve_alarm", "1 while the alarm stands.", labels=("alarm", "severity")
    )
    for kind in alarms.Kind:
        for severity in alarms.Severity:
            family.add_metric((kind, severity), float((kind, severity) in standing))
    return family


def _workers(site: Site) -> Metric:
    alive = sum(one.alive for one in workers.seen(site.store.root, site.database))
    return _gauge("neurosieve_workers", "Workers that were seen lately.", alive)


def _counted(site: Site, session: Session, moment: datetime) -> Iterator[Metric]:
    yield from _studies(site, session, moment)
    yield _deliveries(site, session)
    yield from _unconfirmed(session, moment)
    yield _outcomes(site, session)
    yield _durations(session, moment)
    yield from _models(session)
    yield from _training(session)


def _studies(site: Site, session: Session, moment: datetime) -> Iterator[Metric]:
    states = site.counts.by_state(session)
    family = GaugeMetricFamily("neurosieve_studies", "Studies by state.", labels=("state",))
    for state, count in states.items():
        family.add_metric((state,), count)
    yield family
    failed = len(figures.failed(session))
    yield _gauge("neurosieve_studies_failed", "Studies whose newest revision failed.", failed)
    yield _gauge(
        "neurosieve_studies_incomplete",
        "Studies whose newest revision was read without all images.",
        site.counts.incomplete(session),
    )
    since = figures.oldest_waiting(session)
    age = (moment - since).total_seconds() if since else 0.0
    yield _gauge(
        "neurosieve_queue_length",
        "Complete studies that wait.",
        states[StudyState.COMPLETE],
    )
    yield _gauge("neurosieve_queue_oldest_seconds", "How long the oldest has waited.", age)


def _deliveries(site: Site, session: Session) -> Metric:
    family = GaugeMetricFamily(
        "neurosieve_deliveries",
        "Result objects by destination and state.",
        labels=("destination", "state"),
    )
    for one in site.counts.deliveries(session):
        family.add_metric((one.destination, one.state), one.count)
    return family


def _unconfirmed(session: Session, moment: datetime) -> Iterator[Metric]:
    """Stored at a destination that has not proven yet that it keeps them."""
    family = GaugeMetricFamily(
        "neurosieve_unconfirmed_oldest_seconds",
        "How long a destination's oldest result has waited for the proof that it is kept.",
        labels=("destination",),
    )
    for one in figures.unconfirmed(session):
        family.add_metric((one.destination,), (moment - one.oldest_at).total_seconds())
    yield family


def _outcomes(site: Site, session: Session) -> Metric:
    family = CounterMetricFamily(
        "neurosieve_analyses", "Analyses by model and outcome.", labels=("model", "outcome")
    )
    for one in site.counts.outcomes(session):
        family.add_metric((f"{one.model_name}@{one.model_version}", one.outcome), one.count)
    return family


def _durations(session: Session, moment: datetime) -> Metric:
    """Not a counter over all time: what has left the last day leaves the histogram too."""
    seconds = [
        (one.finished_at - one.last_received_at).total_seconds()
        for one in figures.passages(session, moment - _DAY)
    ]
    buckets = [(str(float(edge)), sum(one <= edge for one in seconds)) for edge in BUCKETS_SECONDS]
    family = HistogramMetricFamily(
        "neurosieve_result_seconds", "Last image to end, studies that ended in the last day."
    )
    family.add_metric((), [*buckets, ("+Inf", len(seconds))], sum_value=sum(seconds))
    return family


def _models(session: Session) -> Iterator[Metric]:
    current, shadow = activations.in_force(session), registry.shadow(session)
    yield _info(
        "neurosieve_model",
        "What reads studies.",
        {
            "model": current.label if current else "",
            "thresholds": str((current.thresholds if current else None) or "own"),
            "shadow": shadow.label if shadow else "",
        },
    )


def _training(session: Session) -> Iterator[Metric]:
    runs = training.list_runs(session, limit=1)
    progress = GaugeMetricFamily(
        "neurosieve_training_progress",
        "How far the newest training has come, 0 to 1.",
        labels=("state",),
    )
    for run in runs:
        progress.add_metric((run.state,), run.progress)
    yield progress

"""The durable engine: which step runs when, how often, and what happens after the last try.

It alone starts DBOS; `training_queue` adds the workflow of another queue. The study table is the
truth; the engine is an at-least-once runner that holds nothing but a study's key. `jobs` puts work
into its queues, `Worker` runs it. The analysis queue runs a few studies at a time, so that one is
prepared and another composed while the model, which takes one batch at a time, reads a third; the
delivery queue is apart, so that the model never waits for a PACS.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

from dbos import DBOS, DBOSConfig, StepOptions
from sqlalchemy.orm import Session

from agent import step_errors
from agent.jobs import ANALYSIS_QUEUE, DELIVERY_QUEUE, WORKFLOW_VERSION, Jobs
from storage import registry, studies
from storage.database import Database
from storage.errors import DatabaseAway
from storage.records import StudyKey

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger(__name__)

DELIVERIES_AT_ONCE = 8
POLL_SECONDS = 0.2
RECOVERIES = 3  # how often a run may take the process down with it
DATABASE_RETRY_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often to try and how long to wait; the wait doubles up to the longest."""

    maximum_tries: int
    first_retry_seconds: float
    longest_retry_seconds: float = 3600.0

    def wait_seconds(self, tries: int) -> float:
        """How long to wait after that many tries."""
        return float(min(self.first_retry_seconds * 2.0 ** (tries - 1), self.longest_retry_seconds))


class AnalysisSteps(Protocol):
    """From the last image to the results on disk. Every step takes a key and may run twice."""

    @property
    def in_order(self) -> Iterable[tuple[str, Callable[[StudyKey], None]]]:
        """The named steps."""

    def try_shadow(self, key: StudyKey) -> None:
        """Let the model on trial read the study as well, if there is one."""

    def give_up(self, key: StudyKey, why: str) -> None:
        """Compose the report that says the analysis failed."""


class DeliverySteps(Protocol):
    """From the results on disk to the last destination. Every step may run twice."""

    def plan(self, session: Session, key: StudyKey) -> tuple[str, ...]:
        """Name the destinations that still want results; without any the study ends here."""

    def deliver(self, key: StudyKey, destination: str) -> str:
        """Send what is still missing there; return an empty text, or what went wrong."""

    def finish(self, session: Session, key: StudyKey) -> None:
        """End the study if every destination has everything."""

    def abandon(self, session: Session, key: StudyKey, why: str) -> None:
        """End the study as failed; a person must look."""


def run_queues(
    database: Database,
    executor_id: str,
    register: Callable[[], None],
    queues: Mapping[str, int],
    *,
    traces_endpoint: str = "",
) -> None:
    """Run these queues and no others in this process, each with so many runs at once.

    `register` names the workflows. What a crash left behind is taken up first.
    """
    config: DBOSConfig = {
        "name": "neurosieve",
        "system_database_url": database.url,
        "application_version": WORKFLOW_VERSION,
        "executor_id": executor_id,
        "log_level": "ERROR",
    }
    if traces_endpoint:
        config |= {"enable_otlp": True, "otlp_traces_endpoints": [traces_endpoint]}
    DBOS(config=config)
    register()
    DBOS.listen_queues(list(queues))
    DBOS.launch()
    for name, at_once in queues.items():
        DBOS.register_queue(name, worker_concurrency=at_once, polling_interval_sec=POLL_SECONDS)


def stop_queues(*, patience_seconds: int = 20) -> None:
    """Finish the running steps if they are quick, and let the next start take up the rest."""
    DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=patience_seconds)


class Worker:
    """Runs what is queued. One per process; `executor_id` must be unique among live workers."""

    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        analysis: AnalysisSteps,
        delivery: DeliverySteps,
        executor_id: str,
        step_patience: Patience,
        delivery_patience: Patience,
        studies_at_once: int = 1,
        traces_endpoint: str = "",
    ) -> None:
        self._traces_endpoint = traces_endpoint
        self._studies_at_once = studies_at_once
        self._database = database
        self._jobs = jobs
        self._analysis = analysis
        self._delivery = delivery
        self._executor_id = executor_id
        self._step_patience = step_patience
        self._delivery_patience = delivery_patience
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()  # steps in progress by run

    @property
    def executor_id(self) -> str:
        """Under this name the engine notes whose runs are whose."""
        return self._executor_id

    def is_busy_with(self, run_id: str) -> bool:
        """Whether a step of that run is in progress here."""
        with self._lock:
            return self._busy[run_id] > 0

    def start(self) -> None:
        """Take up what a crash left behind, then what is queued."""
        self._stopping.clear()
        run_queues(
            self._database,
            self._executor_id,
            self._register,
            {ANALYSIS_QUEUE: self._studies_at_once, DELIVERY_QUEUE: DELIVERIES_AT_ONCE},
            traces_endpoint=self._traces_endpoint,
        )

    def stop(self, *, patience_seconds: int = 20) -> None:
        """Finish the running steps if they are quick, and let the next start take up the rest."""
        self._stopping.set()
        stop_queues(patience_seconds=patience_seconds)

    def _register(self) -> None:
        """Name the workflows. Plain functions: the engine refuses methods of unknown classes."""

        @DBOS.workflow(name="analyse_study", max_recovery_attempts=RECOVERIES)
        def analyse_study(key: StudyKey) -> None:
            try:
                for name, step in self._analysis.in_order:
                    self._run(name, key, step, key)
                self._run("hand_over", key, self._hand_over, key)
            except Exception as error:  # noqa: BLE001  the border: reported below, never lost
                if step_errors.waits(error, key):
                    return
                self._report_failure(key, step_errors.plainly(error))

        @DBOS.workflow(name="report_failure", max_recovery_attempts=RECOVERIES)
        def report_failure(key: StudyKey, why: str) -> None:
            self._report_failure(key, why)

        @DBOS.workflow(name="deliver_results", max_recovery_attempts=RECOVERIES)
        def deliver_results(key: StudyKey, destination: str, number: int) -> None:
            self._deliver(key, destination, number)

        @DBOS.workflow(name="try_shadow", max_recovery_attempts=RECOVERIES)
        def try_shadow(key: StudyKey) -> None:
            try:
                self._run("try_shadow", key, self._analysis.try_shadow, key)
            except Exception as error:  # noqa: BLE001  a trial must not disturb anything
                logger.error(
                    "The model on trial failed: %s",
                    step_errors.plainly(error),
                    extra={"action": "shadow_failed", "study": key},
                )

        # The engine finds them by name.
        del analyse_study, report_failure, deliver_results, try_shadow

    def _deliver(self, key: StudyKey, destination: str, number: int) -> None:
        try:
            problem = self._run("deliver", key, self._delivery.deliver, key, destination)
            self._run("settle", key, self._settle, key, destination, number, problem)
        except Exception as error:
            if not step_errors.waits(error, key):
                raise

    def _report_failure(self, key: StudyKey, why: str) -> None:
        logger.error("Not analysed: %s", why, extra={"action": "analysis_failed", "study": key})
        try:
            self._run("give_up", key, self._analysis.give_up, key, why)
            self._run("hand_over", key, self._hand_over, key)
        except Exception as error:  # noqa: BLE001  not even a report: at least the state must say so
            if step_errors.waits(error, key):
                return
            self._run("abandon", key, self._abandon, key, f"{why} {step_errors.plainly(error)}")

    def _run(
        self, name: str, key: StudyKey, step: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        options = StepOptions(
            name=name,
            retries_allowed=True,
            max_attempts=self._step_patience.maximum_tries,
            interval_seconds=self._step_patience.first_retry_seconds,
            backoff_rate=2.0,
            should_retry=step_errors.may_help,
        )
        logger.info("Step %s", name, extra={"action": "step_started", "step": name, "study": key})
        with self._noted(DBOS.workflow_id or ""):
            patient = self._outlasting(step_errors.guarded(name, key, step))
            return DBOS.run_step(options, patient, *args, **kwargs)

    @contextmanager
    def _noted(self, run_id: str) -> Iterator[None]:
        with self._lock:
            self._busy[run_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy[run_id] -= 1
                self._busy += Counter()  # drops what is down to nothing

    def _outlasting(self, step: Callable[P, R]) -> Callable[P, R]:
        """The step, which a database that is away holds up but does not make fail."""

        def patient(*args: P.args, **kwargs: P.kwargs) -> R:
            while True:
                try:
                    return step(*args, **kwargs)
                except DatabaseAway as error:
                    logger.warning("A step waits: %s", error, extra={"action": "step_waits"})
                    if self._stopping.wait(DATABASE_RETRY_SECONDS):
                        raise

        return patient

    def _hand_over(self, key: StudyKey) -> None:
        with self._database.begin() as session:
            study = studies.get(session, key)
            for destination in self._delivery.plan(session, key):
                self._jobs.submit_delivery(session, study, destination, number=1, delay_seconds=0)
            if registry.shadow(session) is not None:
                self._jobs.submit_shadow(session, study)

    def _settle(self, key: StudyKey, destination: str, number: int, problem: str) -> None:
        with self._database.begin() as session:
            if not problem:
                self._delivery.finish(session, key)
            elif number >= self._delivery_patience.maximum_tries:
                self._delivery.abandon(session, key, f"{problem} Given up after {number} tries.")
            else:
                self._jobs.submit_delivery(
                    session,
                    studies.get(session, key),
                    destination,
                    number=number + 1,
                    delay_seconds=self._delivery_patience.wait_seconds(number),
                )

    def _abandon(self, key: StudyKey, why: str) -> None:
        with self._database.begin() as session:
            self._delivery.abandon(session, key, why)

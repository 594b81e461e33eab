"""The durable engine: which step runs when, how often, and what happens after the last try.

It alone starts DBOS and puts work into its queues; `training_queue` adds the workflow of another
queue. The study table is the truth; the engine is an at-least-once runner that
holds nothing but a study's key. `Jobs` puts work into the queue inside the caller's transaction,
`Worker` runs it. The analysis queue runs one study at a time, so that a GPU is never shared; the
delivery queue is apart, so that it never waits for a PACS.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions, StepOptions
from dbos import error as dbos_errors
from sqlalchemy.orm import Session

from agent.errors import AgentError
from storage import registry, studies
from storage.database import Database
from storage.errors import Conflict, NotFound, StorageError
from storage.records import Priority, Study, StudyKey

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger(__name__)

# Raise only when the list of steps changes and the queue has drained: a worker takes up runs of
# its own version only.
WORKFLOW_VERSION = "1"
ANALYSIS_QUEUE = "analysis"
DELIVERY_QUEUE = "delivery"
TRAINING_QUEUE = "training"  # taken from by `training_queue` alone
DELIVERIES_AT_ONCE = 8
POLL_SECONDS = 0.2
RECOVERIES = 3  # how often a run may take the process down with it
_PRIORITIES = {Priority.STAT: 1, Priority.ROUTINE: 10}  # 1 runs first
_LAST = 1000
_LIVE = ["ENQUEUED", "DELAYED", "PENDING"]
_BROKEN = ["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]


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


class StepBroke(Exception):
    """A step ended with an error that is not ours; only its kind is told, its words may quote."""


class Jobs:
    """The queue as the rest of the agent sees it: submit, cancel, ask."""

    def __init__(self, database: Database) -> None:
        DBOS.migrate(database.url)
        self._client = DBOSClient(system_database_url=database.url, lazy=True)

    def close(self) -> None:
        """Let go of the database."""
        self._client.destroy()

    def submit_analysis(self, session: Session, study: Study) -> None:
        """Enqueue the analysis of the study's current attempt in the caller's transaction."""
        self._enqueue_for(study, session, "analyse_study", ANALYSIS_QUEUE, "analysis")

    def submit_failure(self, session: Session, study: Study, why: str) -> None:
        """Enqueue the report that says why there is no result, in the caller's transaction."""
        self._enqueue_for(study, session, "report_failure", DELIVERY_QUEUE, "failure", why)

    def submit_delivery(
        self, session: Session, study: Study, destination: str, *, number: int, delay_seconds: float
    ) -> None:
        """Enqueue the try of that number in the caller's transaction."""
        name = f"delivery/{destination}/{number}"
        self._enqueue_for(
            study,
            session,
            "deliver_results",
            DELIVERY_QUEUE,
            name,
            destination,
            number,
            delay_seconds=delay_seconds,
        )

    def submit_shadow(self, session: Session, study: Study) -> None:
        """Enqueue the reading by the model on trial, after all that matters to anybody.

        It is no part of the study's work: a study may end, or start again, whatever becomes of it.
        """
        name = f"shadow/{_prefix(study)}"
        self._enqueue(session, "try_shadow", ANALYSIS_QUEUE, name, study.key, priority=_LAST)

    def submit_training(self, session: Session, name: str) -> None:
        """Enqueue a training, or what is left of it, in the caller's transaction."""
        before = self._client.list_workflows(
            workflow_id_prefix=_trainings(name), load_input=False, load_output=False
        )
        number = f"{_trainings(name)}{len(before) + 1}"
        self._enqueue(session, "retrain_model", TRAINING_QUEUE, number, name)

    def training_is_live(self, name: str) -> bool:
        """Whether anything is queued or running for a training."""
        return bool(self._in_states(_trainings(name), _LIVE))

    def cancel_training(self, name: str) -> None:
        """Let nothing more begin for a training."""
        self._client.cancel_workflows(self._in_states(_trainings(name), _LIVE))

    def _enqueue_for(
        self,
        study: Study,
        session: Session,
        workflow: str,
        queue: str,
        name: str,
        *arguments: str | int,
        delay_seconds: float = 0.0,
    ) -> None:
        """Work of a study's current attempt; the study counts as having work while this lives."""
        self._enqueue(
            session,
            workflow,
            queue,
            _prefix(study) + name,
            study.key,
            *arguments,
            priority=_PRIORITIES[study.priority],
            delay_seconds=delay_seconds,
        )

    def _enqueue(
        self,
        session: Session,
        workflow: str,
        queue: str,
        workflow_id: str,
        *arguments: str | int,
        priority: int | None = None,
        delay_seconds: float = 0.0,
    ) -> None:
        options: EnqueueOptions = {
            "workflow_name": workflow,
            "queue_name": queue,
            "workflow_id": workflow_id,
            "app_version": WORKFLOW_VERSION,
        }
        if priority is not None:
            options["priority"] = priority
        if delay_seconds > 0:
            options["delay_seconds"] = delay_seconds
        self._client.enqueue_in_transaction(session, options, *arguments)

    def cancel(self, study: Study) -> None:
        """Stop the study's runs at their next step."""
        self._client.cancel_workflows(self._runs(study, _LIVE))

    def is_live(self, study: Study) -> bool:
        """Whether anything is queued or running for the study's current attempt."""
        return bool(self._runs(study, _LIVE))

    def is_broken(self, study: Study) -> bool:
        """Whether a run of the current attempt ended without having ended the study."""
        return bool(self._runs(study, _BROKEN))

    def _runs(self, study: Study, states: list[str]) -> list[str]:
        return self._in_states(_prefix(study), states)

    def _in_states(self, prefix: str, states: list[str]) -> list[str]:
        runs = self._client.list_workflows(
            workflow_id_prefix=prefix, status=states, load_input=False, load_output=False
        )
        return [run.workflow_id for run in runs]


def _prefix(study: Study) -> str:
    return f"{study.key}/{study.attempt}/"


def _trainings(name: str) -> str:
    return f"training/{name}/"


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
        traces_endpoint: str = "",
    ) -> None:
        self._traces_endpoint = traces_endpoint
        self._database = database
        self._jobs = jobs
        self._analysis = analysis
        self._delivery = delivery
        self._executor_id = executor_id
        self._step_patience = step_patience
        self._delivery_patience = delivery_patience

    def start(self) -> None:
        """Take up what a crash left behind, then what is queued."""
        run_queues(
            self._database,
            self._executor_id,
            self._register,
            {ANALYSIS_QUEUE: 1, DELIVERY_QUEUE: DELIVERIES_AT_ONCE},
            traces_endpoint=self._traces_endpoint,
        )

    def stop(self, *, patience_seconds: int = 20) -> None:
        """Finish the running steps if they are quick, and let the next start take up the rest."""
        stop_queues(patience_seconds=patience_seconds)

    def _register(self) -> None:
        """Name the workflows. Plain functions: the engine refuses methods of unknown classes."""

        @DBOS.workflow(name="analyse_study", max_recovery_attempts=RECOVERIES)
        def analyse_study(key: StudyKey) -> None:
            try:
                for name, step in self._analysis.in_order:
                    self._run(name, key, step, key)
            except Exception as error:  # noqa: BLE001  the border: reported below, never lost
                self._report_failure(key, _plainly(error))
            else:
                self._run("hand_over", key, self._hand_over, key)

        @DBOS.workflow(name="report_failure", max_recovery_attempts=RECOVERIES)
        def report_failure(key: StudyKey, why: str) -> None:
            self._report_failure(key, why)

        @DBOS.workflow(name="deliver_results", max_recovery_attempts=RECOVERIES)
        def deliver_results(key: StudyKey, destination: str, number: int) -> None:
            problem = self._run("deliver", key, self._delivery.deliver, key, destination)
            self._run("settle", key, self._settle, key, destination, number, problem)

        @DBOS.workflow(name="try_shadow", max_recovery_attempts=RECOVERIES)
        def try_shadow(key: StudyKey) -> None:
            try:
                self._run("try_shadow", key, self._analysis.try_shadow, key)
            except Exception as error:  # noqa: BLE001  a trial must not disturb anything
                logger.error(
                    "The model on trial failed: %s",
                    _plainly(error),
                    extra={"action": "shadow_failed", "study": key},
                )

        # The engine finds them by name.
        del analyse_study, report_failure, deliver_results, try_shadow

    def _report_failure(self, key: StudyKey, why: str) -> None:
        logger.error("Not analysed: %s", why, extra={"action": "analysis_failed", "study": key})
        try:
            self._run("give_up", key, self._analysis.give_up, key, why)
            self._run("hand_over", key, self._hand_over, key)
        except Exception as error:  # noqa: BLE001  not even a report: at least the state must say so
            self._run("abandon", key, self._abandon, key, f"{why} {_plainly(error)}")

    def _run(
        self, name: str, key: StudyKey, step: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        options = StepOptions(
            name=name,
            retries_allowed=True,
            max_attempts=self._step_patience.maximum_tries,
            interval_seconds=self._step_patience.first_retry_seconds,
            backoff_rate=2.0,
            should_retry=_may_help,
        )
        logger.info("Step %s", name, extra={"action": "step_started", "step": name, "study": key})

        def guarded() -> R:
            try:
                return step(*args, **kwargs)
            except (AgentError, StorageError):
                raise
            except Exception as error:
                fields = {"action": "step_broke", "step": name, "study": key}
                logger.exception("Step %s broke", name, extra=fields)
                # The engine keeps in its tables what is raised here.
                raise StepBroke(type(error).__name__) from None

        return DBOS.run_step(options, guarded)

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


def _may_help(error: BaseException) -> bool:
    if isinstance(error, Conflict | NotFound):  # cancelled meanwhile, or the row is gone
        return False
    return error.retryable if isinstance(error, AgentError) else True


def _plainly(error: BaseException) -> str:
    """A sentence without anything that a lower layer may have quoted from the data."""
    if isinstance(error, dbos_errors.DBOSMaxStepRetriesExceeded) and error.errors:
        return _plainly(error.errors[-1])
    if isinstance(error, AgentError):
        return str(error)
    kind = str(error) if isinstance(error, StepBroke) else type(error).__name__
    return f"An internal error ({kind}) stopped the analysis."

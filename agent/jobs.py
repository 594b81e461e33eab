"""The durable queues: put work into them inside a transaction, cancel it, ask about it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from dbos import DBOS, DBOSClient, EnqueueOptions
from sqlalchemy.orm import Session

from storage.database import Database
from storage.enums import Priority
from storage.records import Study

# Raise only when the list of steps changes and the queue has drained: a worker takes up runs of
# its own version only.
WORKFLOW_VERSION = "1"
ANALYSIS_QUEUE = "analysis"
DELIVERY_QUEUE = "delivery"
TRAINING_QUEUE = "training"  # taken from by `training_queue` alone
_PRIORITIES = {Priority.STAT: 1, Priority.ROUTINE: 10}  # 1 runs first
_LAST = 1000
_LIVE = ["ENQUEUED", "DELAYED", "PENDING"]
# A run is cancelled before its study has ended only where it took too many workers down.
_BROKEN = ["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "CANCELLED"]
_ENDED = ["SUCCESS", *_BROKEN]
_FAILURE = "failure"
# Of studies. Trainings are counted by their runs, which therefore stay.
_OF_STUDIES = ["analyse_study", "report_failure", "deliver_results", "try_shadow"]
# The engine has indexes by status for its own statements only: what asks for runs by their state
# would look at each one that ever was.
_BY_STATUS = ("ix_neurosieve_workflow_status", "workflow_status", ("status", "created_at"))


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that an executor has begun."""

    run_id: str
    queue: str
    executor_id: str


class Jobs:
    """The queue as the rest of the agent sees it: submit, cancel, ask."""

    def __init__(self, database: Database) -> None:
        DBOS.migrate(database.url)
        name, table, columns = _BY_STATUS
        database.add_index(name, table, columns, postgresql_schema="dbos")
        self._database = database
        # Who asks is told that the database is away; only a worker's steps wait for it.
        self._client = DBOSClient(
            system_database_url=database.url, lazy=True, retry_connection_errors=False
        )

    def close(self) -> None:
        """Let go of the database."""
        self._client.destroy()

    def submit_analysis(self, session: Session, study: Study) -> None:
        """Enqueue the analysis of the study's current attempt in the caller's transaction."""
        self._enqueue_for(study, session, "analyse_study", ANALYSIS_QUEUE, "analysis")

    def submit_failure(self, session: Session, study: Study, why: str) -> None:
        """Enqueue the report that says why there is no result, in the caller's transaction."""
        self._enqueue_for(study, session, "report_failure", DELIVERY_QUEUE, _FAILURE, why)

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
        number = f"{_trainings(name)}{len(self._ids(_trainings(name), None)) + 1}"
        self._enqueue(session, "retrain_model", TRAINING_QUEUE, number, name)

    def training_is_live(self, name: str) -> bool:
        """Whether anything is queued or running for a training."""
        return bool(self._ids(_trainings(name), _LIVE))

    def cancel_training(self, name: str) -> None:
        """Let nothing more begin for a training."""
        self._cancel(self._ids(_trainings(name), _LIVE))

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
        self._cancel(self._runs(study, _LIVE))

    def is_live(self, study: Study) -> bool:
        """Whether anything is queued or running for the study's current attempt."""
        return bool(self._runs(study, _LIVE))

    def idle(self, studies: Iterable[Study]) -> list[Study]:
        """Those of the studies for whose current attempt nothing is queued or running."""
        with self._database.named_errors():
            runs = self._client.list_workflows(status=_LIVE, load_input=False, load_output=False)
        live = {_beginning(run.workflow_id) for run in runs}
        return [study for study in studies if _prefix(study) not in live]

    def is_broken(self, study: Study) -> bool:
        """Whether a run of the current attempt ended without having ended the study."""
        return bool(self._runs(study, _BROKEN))

    def can_report_failure(self, study: Study) -> bool:
        """Whether the current attempt has not been asked for that report yet."""
        with self._database.named_errors():
            return not self._client.list_workflows(
                workflow_ids=[f"{_prefix(study)}{_FAILURE}"], load_input=False, load_output=False
            )

    def begun(self) -> list[Run]:
        """The runs that an executor has begun and not ended, whether it lives or not."""
        with self._database.named_errors():
            found = self._client.list_workflows(
                status="PENDING", load_input=False, load_output=False
            )
        return [
            Run(
                run_id=one.workflow_id,
                queue=one.queue_name or ANALYSIS_QUEUE,
                executor_id=one.executor_id or "",
            )
            for one in found
        ]

    def queue_again(self, run: Run) -> None:
        """Let another executor go on with a run; of who had begun it nothing more is recorded."""
        with self._database.named_errors():
            self._client.resume_workflows([run.run_id], queue_name=run.queue)

    def drop(self, run: Run) -> None:
        """Let a run end as broken."""
        self._cancel([run.run_id])

    def ended(self, *, before: datetime, limit: int) -> list[str]:
        """Runs of studies that had ended by then, the oldest first; trainings are left out."""
        with self._database.named_errors():
            runs = self._client.list_workflows(
                name=_OF_STUDIES,
                status=_ENDED,
                completed_before=before.isoformat(),
                limit=limit,
                load_input=False,
                load_output=False,
            )
        return [run.workflow_id for run in runs]

    def forget(self, run_ids: Sequence[str]) -> None:
        """Let the engine forget runs that have ended, with their steps."""
        with self._database.named_errors():
            self._client.delete_workflows(list(run_ids))

    def _runs(self, study: Study, states: list[str]) -> list[str]:
        return self._ids(_prefix(study), states)

    def _ids(self, prefix: str, states: list[str] | None) -> list[str]:
        with self._database.named_errors():
            runs = self._client.list_workflows(
                workflow_id_prefix=prefix, status=states, load_input=False, load_output=False
            )
        return [run.workflow_id for run in runs]

    def _cancel(self, run_ids: list[str]) -> None:
        with self._database.named_errors():
            self._client.cancel_workflows(run_ids)


def _prefix(study: Study) -> str:
    return f"{study.key}/{study.attempt}/"


def _beginning(run_id: str) -> str:
    """What `_prefix` gave the run, where it is one of a study."""
    return "/".join([*run_id.split("/")[:2], ""])


def _trainings(name: str) -> str:
    return f"training/{name}/"

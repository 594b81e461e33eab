"""The worker of the training queue: takes nothing else, and nothing else takes from it."""

import logging
from typing import Protocol

from dbos import DBOS

from agent import engine
from agent.errors import AgentError
from agent.jobs import TRAINING_QUEUE, Jobs
from storage import training
from storage.database import Database
from storage.errors import StorageError

logger = logging.getLogger(__name__)

# A training is made to be broken off; it gives up by itself, never because it was killed often.
RECOVERIES = 1000
EXECUTOR = "training"


class TrainingSteps(Protocol):
    """From a request to a registered candidate; may run twice."""

    def train(self, name: str) -> None:
        """Do it, or go on with it."""

    def give_up(self, name: str, why: str) -> None:
        """End it as failed."""

    def stop(self) -> None:
        """Break off; it goes on with the next start."""


class TrainingWorker:
    """Runs one training at a time. One per process, and one per node."""

    def __init__(self, *, database: Database, jobs: Jobs, steps: TrainingSteps) -> None:
        self._database = database
        self._jobs = jobs
        self._steps = steps

    def start(self) -> None:
        """Take up what a crash left behind, then what is queued."""
        engine.run_queues(self._database, EXECUTOR, self._register, {TRAINING_QUEUE: 1})
        self.take_up()

    def stop(self) -> None:
        """End the child, and let the next start go on."""
        self._steps.stop()
        engine.stop_queues()

    def take_up(self) -> None:
        """Give work to every unfinished training that has none, as after a stop."""
        with self._database.read() as session:
            listed = training.list_runs(session)
        for run in listed:
            if run.state not in training.ENDED and not self._jobs.training_is_live(run.name):
                with self._database.begin() as session:
                    self._jobs.submit_training(session, run.name)

    def _register(self) -> None:
        @DBOS.workflow(name="retrain_model", max_recovery_attempts=RECOVERIES)
        def retrain_model(name: str) -> None:
            try:
                DBOS.run_step({"name": "train"}, self._steps.train, name)
            except Exception as error:
                logger.exception("Training failed", extra={"action": "training_broke"})
                self._steps.give_up(name, _plainly(error))

        del retrain_model  # the engine finds it by name


def _plainly(error: Exception) -> str:
    if isinstance(error, AgentError | StorageError | OSError):
        return str(error)
    return f"An internal error ({type(error).__name__}) stopped the training."

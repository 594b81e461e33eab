"""What an error of a step means for its study: another try, a wait, or a failure in plain words."""

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from dbos import error as dbos_errors

from agent.errors import AgentError
from storage.errors import Conflict, NotFound, StorageError
from storage.records import StudyKey

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger(__name__)


class StepBroke(Exception):
    """A step ended with an error that is not ours; only its kind is told, its words may quote."""


def guarded(name: str, key: StudyKey, step: Callable[P, R]) -> Callable[P, R]:
    """The step, whose errors the engine may keep: ours as they are, of others only the kind."""

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return step(*args, **kwargs)
        except (AgentError, StorageError):
            raise
        except Exception as error:
            logger.exception(
                "Step %s broke", name, extra={"action": "step_broke", "step": name, "study": key}
            )
            raise StepBroke(type(error).__name__) from None

    return run


def may_help(error: BaseException) -> bool:
    """Whether another try of the step may end better."""
    if isinstance(error, Conflict | NotFound):  # cancelled meanwhile, or the row is gone
        return False
    return error.retryable if isinstance(error, AgentError) else True


def waits(error: BaseException, key: StudyKey) -> bool:
    """Whether the disk or the database is full or away, which is no fault of the study.

    Its run then ends here, and `liveness.reconcile` gives it another once they are back: a study
    must not fail, nor a run hold its place, however long that takes.
    """
    last = _last(error)
    if not isinstance(last, StorageError) or isinstance(last, Conflict | NotFound):
        return False
    logger.warning("The study waits: %s", last, extra={"action": "study_waits", "study": key})
    return True


def _last(error: BaseException) -> BaseException:
    """What the last try of a step said."""
    if isinstance(error, dbos_errors.DBOSMaxStepRetriesExceeded) and error.errors:
        return error.errors[-1]
    return error


def plainly(error: BaseException) -> str:
    """A sentence without anything that a lower layer may have quoted from the data."""
    last = _last(error)
    if isinstance(last, AgentError):
        return str(last)
    kind = str(last) if isinstance(last, StepBroke) else type(last).__name__
    return f"An internal error ({kind}) stopped the analysis."

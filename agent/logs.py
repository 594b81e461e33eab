"""Logging to standard error: a sentence for people, `action` and its fields for machines.

No patient data may pass through here: log UIDs, counts and states, never names or identifiers.
What libraries and the interpreter say may quote what they read, so of an exception only its kind
and place are written, and its words only where they are ours.
"""

import json
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType

from agent.errors import AgentError
from storage.errors import StorageError

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OURS = ("agent", "storage", "model_training")
_SILENT_BELOW_ERROR = ("pydicom", "pynetdicom", "highdicom", "alembic", "dbos", "sqlalchemy", "PIL")
_QUOTING = ("pydicom", "pynetdicom", "highdicom", "dbos", "PIL", "asyncio", "concurrent")

_log = logging.getLogger(__name__)


def configure(*, level: str, as_json: bool) -> None:
    """Send every log record of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    handler.addFilter(_matters)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _SILENT_BELOW_ERROR:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # pydicom's quote header values, also in our name


def catch_all() -> None:
    """Log what nobody caught, in the place of Python's own printing of it."""
    sys.excepthook = _on_exception
    threading.excepthook = _on_thread_exception
    sys.unraisablehook = _on_unraisable


def told(error: BaseException) -> str:
    """The kind of an error, and what it says where the words are ours."""
    kind = type(error).__name__
    if isinstance(error, AgentError | StorageError):
        return f"{kind}: {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{kind}: {error.strerror}"
    return kind


def trace(error: BaseException | None) -> str:
    """Where an error came from, frame by frame, without its words unless they are ours."""
    lines = []
    for one in _chain(error):
        frames = traceback.extract_tb(one.__traceback__)
        lines += [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
        lines.append(told(one))
    return "\n".join(lines)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The causes first, as Python prints them."""
    if error is not None:
        hidden = error.__suppress_context__
        yield from _chain(error.__cause__ or (None if hidden else error.__context__))
        yield error


def _matters(record: logging.LogRecord) -> bool:
    """What libraries say in passing may hold whatever went through them."""
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] in _OURS


def _sentence(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] in _QUOTING:
        return f"{record.name} reports a problem at {record.module}:{record.lineno}"
    return record.getMessage()


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Time (UTC), level, logger, sentence and fields as one JSON object."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _sentence(record),
            **_fields(record),
        }
        if record.exc_info:
            line["error"] = trace(record.exc_info[1])
        return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """Readable lines: time, level, sentence, then `key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """Time (UTC), level, sentence and fields."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        fields = " ".join(f"{key}={value}" for key, value in _fields(record).items())
        line = f"{time} {record.levelname:7} {_sentence(record)}  {fields}".rstrip()
        return f"{line}\n{trace(record.exc_info[1])}" if record.exc_info else line


def _on_exception(
    kind: type[BaseException], error: BaseException, place: TracebackType | None
) -> None:
    del kind, place
    _log.critical("The process ends", exc_info=error, extra={"action": "process_broke"})


def _on_thread_exception(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit:
        _log.error("A thread ended", exc_info=args.exc_value, extra={"action": "thread_broke"})


def _on_unraisable(args: "sys.UnraisableHookArgs") -> None:
    _log.error("An error was ignored", exc_info=args.exc_value, extra={"action": "error_ignored"})

"""Logging to standard error: a sentence for people, `action` and its fields for machines.

No patient data may pass through here: log UIDs, counts and states, never names or identifiers.
"""

import json
import logging
import sys
import warnings
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CHATTY = ("pydicom", "pynetdicom", "highdicom", "alembic", "dbos", "sqlalchemy", "PIL")


def configure(*, level: str, as_json: bool) -> None:
    """Send every log record of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Both may quote header values, which may name the patient.
    warnings.filterwarnings("ignore", module=r"(pydicom|pynetdicom|highdicom)\b")
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    # A stranger's bytes must not fill pages: `agent.dicom` says in one line what was wrong. Only
    # what our own handlers raise inside pynetdicom is still shown.
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    logging.getLogger("pynetdicom.events").setLevel(logging.ERROR)


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
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """Readable lines: time, level, sentence, then `key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """Time (UTC), level, sentence and fields."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        fields = " ".join(f"{key}={value}" for key, value in _fields(record).items())
        line = f"{time} {record.levelname:7} {record.getMessage()}  {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line

"""The log: sentences for people, fields for machines, and nothing that was only quoted."""

import json
import logging
import subprocess
import sys

import pytest

from agent import logs
from agent.errors import UnreadableInput

NAME = "Meyer^Anna"


def record(
    name: str, message: str, *, level: int = logging.ERROR, error: BaseException | None = None
) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord(name, level, "wire.py", 12, message, (), exc_info)
    made.action = "tried"
    return made


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:  # noqa: BLE001
        return caught


@pytest.mark.parametrize("formatter", [logs.JsonLines(), logs.TextLines()])
def test_of_an_exception_only_kind_and_place_are_written(formatter: logging.Formatter) -> None:
    error = raised(ValueError(f"{NAME} is no number"), KeyError(NAME))

    line = formatter.format(record("agent.steps", "A step failed", error=error))

    assert NAME not in line
    assert "test_logs.py:" in line
    assert "KeyError" in line
    assert "ValueError" in line


def test_our_own_words_are_written() -> None:
    error = raised(UnreadableInput("The image has no pixel data."))

    line = json.loads(logs.JsonLines().format(record("agent.steps", "Refused", error=error)))

    assert line["error"].endswith("UnreadableInput: The image has no pixel data.")
    assert (line["message"], line["action"]) == ("Refused", "tried")


@pytest.mark.parametrize("library", ["pydicom", "pynetdicom.events", "dbos"])
def test_what_a_library_quotes_is_not_written(library: str) -> None:
    line = logs.TextLines().format(record(library, f"Invalid value for VR DA: {NAME}"))

    assert NAME not in line
    assert f"{library} reports a problem at wire:12" in line


LEAKS = (
    f"raise ValueError('{NAME}')",
    f"import threading; t = threading.Thread(target=int, args=('{NAME}',)); t.start(); t.join()",
    f"import warnings; warnings.warn('{NAME}')",
    f"import logging; logging.getLogger('urllib3').debug('{NAME}')",
    f"import logging; logging.getLogger('urllib3').info('{NAME}')",
    f"class A:\n  def __del__(self): raise ValueError('{NAME}')\nA()",
)


@pytest.mark.parametrize("code", LEAKS)
def test_what_nobody_caught_shows_no_words(code: str) -> None:
    start = "from agent import logs; logs.configure(level='DEBUG', as_json=True); logs.catch_all()"

    done = subprocess.run(
        [sys.executable, "-c", f"{start}\n{code}"], capture_output=True, text=True, check=False
    )

    assert NAME not in done.stdout + done.stderr

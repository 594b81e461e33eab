"""Who may sign in: names and argon2id hashes in one file that only the service may read."""

import json
import os
import re
import threading
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from agent.errors import ConfigurationError

FILE_NAME = "users.json"
LEAST_CHARACTERS = 12
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_hasher = PasswordHasher()
_checks = threading.Semaphore(2)  # each takes 64 MiB; a crowd must not take the memory
# Checked for names that are not known, so that the time of the answer tells nothing.
_nobody = _hasher.hash("nobody has this password")


def names(file: Path) -> tuple[str, ...]:
    """Everybody who may sign in."""
    return tuple(sorted(_read(file)))


def add(file: Path, name: str, password: str) -> None:
    """Let somebody in, or give them another password. Raises ConfigurationError."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f'"{name}" cannot be a user: letters, digits, dots, dashes, underscores and @, '
            "at most 64."
        )
    if len(password) < LEAST_CHARACTERS:
        raise ConfigurationError(f"A password has at least {LEAST_CHARACTERS} characters.")
    _write(file, _read(file) | {name: _hasher.hash(password)})


def remove(file: Path, name: str) -> None:
    """Let somebody in no more."""
    known = _read(file)
    if known.pop(name, None) is None:
        raise ConfigurationError(f"There is no user {name}; `neurosieve users list` shows all.")
    _write(file, known)


def check(file: Path, name: str, password: str) -> bool:
    """Whether this is the password of that user; takes as long when there is no such user."""
    known = _read(file).get(name)
    try:
        with _checks:
            _hasher.verify(known or _nobody, password)
    except (VerificationError, InvalidHashError):
        return False
    return known is not None


def _read(file: Path) -> dict[str, str]:
    try:
        return {str(k): str(v) for k, v in json.loads(file.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}.") from error


def _write(file: Path, known: dict[str, str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        json.dump(known, opened, indent=1)
    temporary.replace(file)

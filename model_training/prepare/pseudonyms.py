"""Names for patients and studies that do not lead back to them without a secret.

The secret, a salt, and the list of what each pseudonym stands for lie in a folder of their own,
outside the collection. The same salt gives the same pseudonyms, in every collection.
"""

import csv
import hmac
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from agent.errors import ConfigurationError

SALT_FILE = "salt"
SOURCES_FILE = "sources.csv"
_DIGITS = 12  # 48 bits: two of a million patients share a name with a chance of 1 in 560
_SHORTEST_SECRET = 3  # characters; shorter ones would blot out every second word


class Pseudonyms:
    """Names made with one salt, kept with what they stand for."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._stand_for: dict[str, str] = {}

    def of(self, kind: str, identity: str, path: str = "") -> str:
        """A name such as `study-3f5a0c9d21e7`; `path` is where it was found, if anywhere."""
        digest = hmac.new(self._salt, f"{kind}:{identity}".encode(), "sha256").hexdigest()
        name = f"{kind}-{digest[:_DIGITS]}"
        if path:
            self._stand_for[name] = path
        return name

    def keep(self, folder: Path) -> Path:
        """Write down what each name with a path stands for, beside what was written before."""
        path = folder / SOURCES_FILE
        known: dict[str, str] = {}
        if path.exists():
            with path.open(newline="", encoding="utf-8") as handle:
                known = dict(row for row in list(csv.reader(handle))[1:] if len(row) == 2)
        with path.open("w", newline="", encoding="utf-8") as handle:
            rows = csv.writer(handle, lineterminator="\n")
            rows.writerow(("pseudonym", "path"))
            rows.writerows(sorted((known | self._stand_for).items()))
        return path


def load(folder: Path) -> Pseudonyms:
    """Pseudonyms with the salt of a folder, which is made where there is none."""
    path = folder / SALT_FILE
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32) + "\n")
    try:
        salt = bytes.fromhex(path.read_text().strip())
    except ValueError as error:
        raise ConfigurationError(f"{path} is no salt: hexadecimal digits are needed.") from error
    if len(salt) < 16:
        raise ConfigurationError(f"{path} is no salt: it holds fewer than 32 hexadecimal digits.")
    return Pseudonyms(salt)


def without(text: str, identities: Iterable[str]) -> str:
    """A sentence in which everything that names a patient is blotted out."""
    for identity in sorted(identities, key=len, reverse=True):
        if len(identity) >= _SHORTEST_SECRET:
            text = re.sub(re.escape(identity), "***", text, flags=re.IGNORECASE)
    return text

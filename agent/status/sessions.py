"""Sessions in memory, their CSRF tokens, and patience with those who guess passwords."""

import hashlib
import hmac
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass

MOST_SESSIONS = 1000
MOST_TRIES = 10  # wrong passwords a quarter of an hour from one address
TRIES_SECONDS = 900.0


@dataclass(frozen=True)
class _Session:
    user: str
    ends: float


class Sessions:
    """Who is signed in. A restart of the node signs everybody out."""

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._secret = secrets.token_bytes(32)
        self._open: dict[str, _Session] = {}
        self._wrong: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def begin(self, user: str) -> str:
        """A new session under a name that nobody knew before (against session fixation)."""
        name = fresh_name()
        with self._lock:
            self._forget()
            self._open[name] = _Session(user, time.monotonic() + self._seconds)
        return name

    def user(self, name: str) -> str | None:
        """Who it is; None where the session is not known or has ended."""
        found = self._open.get(name)
        return found.user if found and found.ends > time.monotonic() else None

    def end(self, name: str) -> None:
        """Sign out."""
        self._open.pop(name, None)

    def token(self, name: str) -> str:
        """What a form of this session must bring back."""
        return hmac.new(self._secret, name.encode(), hashlib.sha256).hexdigest()

    def is_token(self, name: str, token: str) -> bool:
        """Whether the form was made for this session."""
        return bool(name) and hmac.compare_digest(self.token(name).encode(), token.encode())

    def may_try(self, address: str) -> bool:
        """Whether this address has not guessed too often."""
        with self._lock:
            tries = self._wrong.get(address, deque())
            while tries and tries[0] < time.monotonic() - TRIES_SECONDS:
                tries.popleft()
            return len(tries) < MOST_TRIES

    def note_wrong(self, address: str) -> None:
        """One more wrong password from there."""
        with self._lock:
            if len(self._wrong) >= MOST_SESSIONS:
                self._wrong.pop(next(iter(self._wrong)))
            self._wrong.setdefault(address, deque(maxlen=MOST_TRIES)).append(time.monotonic())

    def _forget(self) -> None:
        now = time.monotonic()
        self._open = {name: one for name, one in self._open.items() if one.ends > now}
        while len(self._open) >= MOST_SESSIONS:
            self._open.pop(next(iter(self._open)))


def fresh_name() -> str:
    """A session's name that cannot be guessed."""
    return secrets.token_urlsafe(32)

"""How large a DIMSE message may grow, how slowly, and how much all of them may hold together."""

import threading
import time
from dataclasses import dataclass

from agent.dicom.pdus import AbortReason, Fault, Fragment

MAXIMUM_COMMAND_BYTES = 64 * 1024  # DIMSE commands have some hundred bytes
MAXIMUM_FRAGMENTS = 128  # of a PDU; senders make one or two, and each costs an object
MAXIMUM_OBJECT_BYTES = 512 * 1024 * 1024
MINIMUM_BYTES_PER_SECOND = 1024  # of a message, once it has had the time of a silence


class Budget:
    """The bytes of all messages that are in memory, on all associations together."""

    def __init__(self, maximum_bytes: int) -> None:
        self._left = maximum_bytes
        self._lock = threading.Lock()

    @property
    def left_bytes(self) -> int:
        """How much room there is."""
        return self._left

    def take(self, count: int) -> bool:
        """Whether there was room for so many."""
        with self._lock:
            if count > self._left:
                return False
            self._left -= count
            return True

    def give_back(self, count: int) -> None:
        """So many are no longer held."""
        with self._lock:
            self._left += count


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one association may do, and what all may hold together."""

    silence_seconds: float
    object_bytes: int
    budget: Budget


class MessageCount:
    """Counts the message that comes in by one association; `Fault` where it goes too far."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()  # answers come from another thread
        self._answerable_bytes = 0  # of whole messages that wait for their answer
        self._is_over = True
        self._begin()

    def take_fragments(self, values: memoryview) -> list[Fragment]:
        """Walk over the presentation data values of a P-DATA-TF (PS3.8 9.3.5.1)."""
        found: list[Fragment] = []
        position = 0
        while position < len(values):
            length = int.from_bytes(values[position : position + 4], "big")
            position += 4
            if not 2 <= length <= len(values) - position or len(found) >= MAXIMUM_FRAGMENTS:
                raise Fault("The fragments of a PDU do not fit into it.")
            content = values[position + 2 : position + length]
            found.append(Fragment(values[position], values[position + 1], content))
            with self._lock:
                self._take(found[-1])
            position += length
        return found

    def answered(self) -> None:
        """Every message that was whole has been worked on."""
        with self._lock:
            if self._is_over:
                self._begin()
            self._limits.budget.give_back(self._answerable_bytes)
            self._answerable_bytes = 0

    def close(self) -> None:
        """The association is no more."""
        with self._lock:
            self._begin()
            self._limits.budget.give_back(self._answerable_bytes)
            self._answerable_bytes = 0

    def _begin(self) -> None:
        self._answerable_bytes += getattr(self, "_bytes", 0)
        self._bytes = self._command_bytes = 0
        self._since = time.monotonic()

    def _take(self, fragment: Fragment) -> None:
        count = len(fragment.content)
        if fragment.is_command and self._is_over:
            self._begin()
        if not self._limits.budget.take(count):
            raise Fault("The messages under way need too much memory.", AbortReason.NOT_SPECIFIED)
        self._bytes += count
        self._command_bytes += count if fragment.is_command else 0
        # Whether data follow a command is written in it; should they, this one was not over.
        self._is_over = fragment.is_last
        self._check()

    def _check(self) -> None:
        if self._command_bytes > MAXIMUM_COMMAND_BYTES:
            raise Fault("A command set was too long.")
        if self._bytes - self._command_bytes > self._limits.object_bytes:
            raise Fault("An object was larger than node.maximum_object_mb allows.")
        patience = self._limits.silence_seconds + self._bytes / MINIMUM_BYTES_PER_SECOND
        if time.monotonic() - self._since > patience:
            raise Fault("A message came too slowly.", AbortReason.NOT_SPECIFIED)

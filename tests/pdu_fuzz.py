"""Connections full of spoilt PDUs: the real ones, ways to spoil them, and how they are sent."""

import contextlib
import random
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path

import builders
import strangers

KEPT = Path(__file__).resolve().parent / "data" / "pdus"  # what once brought a listener down
ANSWER_SECONDS = 5.0
WAIT_SECONDS = 0.03
_EDGES = (0, 1, 2, 4, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What one connection sends, piece by piece."""

    pdus: tuple[bytes, ...]

    @property
    def stream(self) -> bytes:
        return b"".join(self.pdus)


def corpus() -> dict[str, bytes]:
    """Real PDUs, by what they are."""
    image = builders.flair_series(slices=1, rows=8, columns=8, study="fuzz")[0]
    command, *data = strangers.store(image)
    answer = bytes.fromhex("02") + strangers.association_request()[1:]
    return {
        "request": strangers.association_request(),
        "accept": answer,
        "reject": bytes.fromhex("03 00 00000004 00 01 01 03"),
        "echo": strangers.echo()[0],
        "store": command,
        **{f"data-{number}": one for number, one in enumerate(data)},
        "release": strangers.RELEASE,
        "release-answer": bytes.fromhex("06 00 00000004 00000000"),
        "abort": strangers.ABORT,
    }


def case(real: dict[str, bytes], seed: str) -> Case:
    """One connection, the same for the same seed: a spoilt request, or a real one, then chaos."""
    chance = random.Random(seed)
    if chance.random() < 0.3:
        return Case(pdus=(spoilt(real["request"], real, chance),))
    data = [one for name, one in real.items() if name.startswith("data-")]
    talk = chance.choice(
        [
            [real["echo"], real["release"]],
            [real["store"], *data, real["release"]],
            [real["echo"], real["store"], *data, real["echo"]],
            chance.choices(list(real.values()), k=4),
        ]
    )
    for _ in range(chance.randint(1, 2)):
        position = chance.randrange(len(talk))
        talk[position] = spoilt(talk[position], real, chance)
    if chance.random() < 0.2:
        chance.shuffle(talk)
    return Case(pdus=(real["request"], *talk))


def spoilt(pdu: bytes, real: dict[str, bytes], chance: random.Random) -> bytes:
    """One to four changes; then often a length that fits again, so that they are looked at."""
    content = bytearray(pdu)
    for _ in range(chance.randint(1, 4)):
        _spoil(content, real, chance)
    if len(content) >= 6 and chance.random() < 0.7:
        content[2:6] = struct.pack(">L", len(content) - 6)
        if content[0] == 4 and len(content) >= 12 and chance.random() < 0.7:
            content[6:10] = struct.pack(">L", len(content) - 10)
    return bytes(content)


def _spoil(content: bytearray, real: dict[str, bytes], chance: random.Random) -> None:
    at = chance.randrange(len(content)) if content else 0
    kind = chance.randrange(7)
    if kind == 0 and content:
        content[at] ^= 1 << chance.randrange(8)
    elif kind == 1:
        width = chance.choice((1, 2, 4))
        edge = chance.choice(_EDGES) & (256**width - 1)
        content[at : at + width] = edge.to_bytes(width, chance.choice(("big", "little")))
    elif kind == 2:
        del content[at:]
    elif kind == 3:
        del content[at : at + chance.randint(1, 16)]
    elif kind == 4:
        content[at:at] = chance.randbytes(chance.randint(1, 64))
    elif kind == 5:
        piece = content[at : at + chance.randint(1, 200)]
        content[at:at] = bytes(piece) * chance.randint(1, 40)
    else:
        other = chance.choice(list(real.values()))
        begin = chance.randrange(len(other))
        content[at : at + 8] = other[begin : begin + chance.randint(1, 64)]


def send(port: int, sent: Case, *, address: str = "127.0.0.1", waits: bool = True) -> float:
    """Send all of it over one connection; seconds until the node had closed it.

    One that waits hears the answers to its request and to all before it ends. Raises `TimeoutError`
    where the node takes more than `ANSWER_SECONDS`.
    """
    started = time.monotonic()
    with strangers.connection(port, address=address, seconds=ANSWER_SECONDS) as opened:
        try:
            opened.sendall(sent.pdus[0])
            if waits and len(sent.pdus) > 1:
                strangers.read_pdu(opened)
            opened.sendall(b"".join(sent.pdus[1:]))
            if waits:
                opened.settimeout(WAIT_SECONDS)
                with contextlib.suppress(TimeoutError):
                    strangers.read_to_end(opened)
                opened.settimeout(ANSWER_SECONDS)
            opened.shutdown(socket.SHUT_WR)
            strangers.read_to_end(opened)
        except TimeoutError:
            raise
        except OSError:
            pass  # closed by the node, as it should be
    return time.monotonic() - started

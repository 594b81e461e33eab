"""Hostile connections against a real listener: `python tests/benchmarks/hostile.py --sockets 500`.

Prints how long a real sender waits beside silent sockets, and what an announced PDU of 4 GiB costs
before an association and inside one.
"""

import argparse
import struct
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import strangers
from agent.dicom import sender
from running import RunningNode, running

MIB = 1024 * 1024
TRIES = 20
SENT_AT_MOST = 256 * MIB
ADDRESSES = tuple(f"127.0.0.{number}" for number in range(2, 52))


def main() -> None:
    """Print one line for each attack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=500)
    count = parser.parse_args().sockets
    with tempfile.TemporaryDirectory(prefix="neurosieve-hostile-") as scratch:
        node = RunningNode(folder=Path(scratch) / "node", role="listen", quiet_seconds=3600.0)
        with running(node):
            sender.echo(node.address, calling_ae="MODALITY")
            for addresses in (("127.0.0.1",), ADDRESSES):
                served_beside_silent_sockets(node, count, addresses)
            announced(node, "before an association", associated=False)
            announced(node, "inside an association", associated=True)
            sender.echo(node.address, calling_ae="MODALITY")


def served_beside_silent_sockets(node: RunningNode, count: int, addresses: tuple[str, ...]) -> None:
    """How long association, C-ECHO and release take."""
    seconds = []
    memory = resident(node)
    with strangers.silent_crowd(node.port, count, addresses):
        for _ in range(TRIES):
            started = time.monotonic()
            sender.echo(node.address, calling_ae="MODALITY")
            seconds.append(time.monotonic() - started)
    print(
        f"{count} silent sockets from {len(addresses)} address(es): first C-ECHO served in"
        f" {seconds[0]:.3f} s, slowest of {TRIES} in {max(seconds):.3f} s,"
        f" memory {(resident(node) - memory) / MIB:+.1f} MiB"
    )


def announced(node: RunningNode, where: str, *, associated: bool) -> None:
    """Memory at its highest while the sender goes on, and when the connection was gone."""
    before = resident(node)
    opening = strangers.raw_association if associated else strangers.connection
    with opening(node.port) as opened:
        started = time.monotonic()
        kind = 4 if associated else 1
        highest, sent = before, 0
        try:
            opened.sendall(struct.pack(">BBL", kind, 0, 0xFFFFFFFF))
            while sent < SENT_AT_MOST:
                sent += opened.send(bytes(65536))
                highest = max(highest, resident(node))
        except OSError:
            pass  # closed by the node, as it should be
        gone = time.monotonic() - started
        opened.settimeout(60.0)
        if sent >= SENT_AT_MOST:
            strangers.read_to_end(opened)
            gone = time.monotonic() - started
    print(
        f"a PDU of 4 GiB {where}: {sent / MIB:.1f} MiB sent, memory"
        f" {(highest - before) / MIB:+.1f} MiB, connection gone after {gone:.2f} s"
    )


def resident(node: RunningNode) -> int:
    """The node's memory in bytes."""
    assert node.process is not None
    return strangers.resident_bytes(node.process.pid)


if __name__ == "__main__":
    main()

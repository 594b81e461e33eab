"""Several hosts on one machine: network namespaces on a bridge, each with one address.

Needs Linux, `ip` and the right to make namespaces. This machine is `bridge` to them; a service of
ours reaches them by that address alone, so that a host whose link is down has lost everything.
"""

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url

_NETWORK = f"10.213.{os.getpid() % 250}"  # test processes side by side have each their own
_CHUNK = 65536


@dataclass(frozen=True, kw_only=True)
class Host:
    """One namespace."""

    name: str
    address: str

    def launch(self, arguments: list[str], log: Path) -> subprocess.Popen[str]:
        """`neurosieve` on this host; `ip` becomes it, so that its pid is the node's."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("NEUROSIEVE_")}
        with log.open("a", encoding="utf-8") as errors:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, sys.executable, "-m", "agent.cli", *arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )

    def unplug(self) -> None:
        """Nothing comes or goes any more; its processes notice only that."""
        _ip("link", "set", _cable(self.name), "down")

    def plug(self) -> None:
        """And back."""
        _ip("link", "set", _cable(self.name), "up")


@dataclass(frozen=True, kw_only=True)
class Network:
    """The hosts, and this machine's address for them."""

    bridge: str
    hosts: tuple[Host, ...]


@contextmanager
def network(count: int) -> Iterator[Network]:
    """So many hosts; skips the test, with the reason, where they cannot be made."""
    if shutil.which("ip") is None:
        pytest.skip("needs `ip` (iproute2) to make network namespaces")
    mark = f"ns{os.getpid() % 100000}"
    hosts = tuple(
        Host(name=f"{mark}-{number}", address=f"{_NETWORK}.{number + 2}") for number in range(count)
    )
    made: list[tuple[str, ...]] = []
    try:
        try:
            _make(mark, hosts, made)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces cannot be made here: {error.stderr.strip()}")
        yield Network(bridge=f"{_NETWORK}.1", hosts=hosts)
    finally:
        for words in reversed(made):
            subprocess.run(["ip", *words], capture_output=True, check=False)


def _make(mark: str, hosts: tuple[Host, ...], made: list[tuple[str, ...]]) -> None:
    _ip("link", "add", mark, "type", "bridge")
    made.append(("link", "del", mark))
    _ip("addr", "add", f"{_NETWORK}.1/24", "dev", mark)
    _ip("link", "set", mark, "up")
    for host in hosts:
        cable = _cable(host.name)
        _ip("netns", "add", host.name)
        made.append(("netns", "del", host.name))
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", host.name)
        made.append(("link", "del", cable))
        _ip("link", "set", cable, "master", mark, "up")
        inside = ("-n", host.name)
        _ip(*inside, "addr", "add", f"{host.address}/24", "dev", "eth0")
        _ip(*inside, "link", "set", "eth0", "up")
        _ip(*inside, "link", "set", "lo", "up")


def _cable(name: str) -> str:
    return f"v{name}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=10)


class Tunnel:
    """Lets hosts reach a PostgreSQL that listens on a local socket alone; inside a `with` block."""

    def __init__(self, url: str, address: str) -> None:
        self._url = make_url(url)
        folder = str(self._url.query["host"])
        (self._target,) = (str(path) for path in Path(folder).glob(".s.PGSQL.*[0-9]"))
        self._address = address
        self._open: list[socket.socket] = []
        self._joints: list[threading.Thread] = []

    def __enter__(self) -> "Tunnel":
        self._server = socket.create_server((self._address, 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    @property
    def url(self) -> str:
        """The database, as hosts name it."""
        there = self._url.set(host=self._address, port=self._server.getsockname()[1], query={})
        return there.render_as_string(hide_password=False)

    def cut(self) -> None:
        """The database is away for those who come through here."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()
        for near in self._open:
            with suppress(OSError):
                near.shutdown(socket.SHUT_RDWR)
        for joint in self._joints:
            joint.join()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._target)
            self._open.append(near)
            joint = threading.Thread(target=_connect, args=(near, far), daemon=True)
            self._joints.append(joint)
            joint.start()


def _connect(near: socket.socket, far: socket.socket) -> None:
    """Pass everything on, both ways, until one side ends."""
    back = threading.Thread(target=_pass, args=(far, near), daemon=True)
    with near, far:
        back.start()
        _pass(near, far)
        back.join()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)

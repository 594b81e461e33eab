"""A real S3 server (moto's, over HTTP) and a proxy that makes it fail, as a pytest plugin."""

import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from orthanc import free_port
from running import wait_until
from storage.bucket import Address, Bucket

HOST = "127.0.0.1"
KEY_ID, SECRET = "testing-key-id", "testing-secret"


class S3Server:
    """A server with buckets, which may be stopped; what it held is lost then."""

    def __init__(self, *, host: str = HOST) -> None:
        self._host = host
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://{self._host}:{self._port}"

    def start(self) -> None:
        """Answer from now on."""
        environment = os.environ | {"MOTO_ENABLE_ISO_REGIONS": "false"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", self._host, "-p", str(self._port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        wait_until(self._answers, timeout_seconds=30, what="moto's server")

    def stop(self) -> None:
        """End without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def make_bucket(self, name: str) -> None:
        """A new bucket."""
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT")
        urllib.request.urlopen(request, timeout=10).close()

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection((self._host, self._port), timeout=1):
            return True
        return False


@contextmanager
def s3_server(*, host: str = HOST) -> Iterator[S3Server]:
    """A server that is stopped at the end."""
    server = S3Server(host=host)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def shared_server() -> Iterator[S3Server]:
    """One server for all tests that only need a bucket."""
    with s3_server() as server:
        yield server


@pytest.fixture
def bucket_address(shared_server: S3Server, request: pytest.FixtureRequest) -> Address:
    """A bucket of the test's own."""
    name = re.sub(r"[^a-z0-9]+", "-", f"t{time.monotonic_ns()}")
    shared_server.make_bucket(name)
    return address(shared_server.endpoint, name)


@pytest.fixture
def bucket(bucket_address: Address) -> Bucket:
    """The same, opened."""
    return Bucket(bucket_address)


def address(endpoint: str, name: str) -> Address:
    """A prefix in a bucket."""
    return Address(
        url=f"s3://{name}/node",
        endpoint=endpoint,
        access_key_id=KEY_ID,
        secret_access_key=SECRET,
    )


@dataclass
class Faults(socketserver.ThreadingTCPServer):
    """Stands before a server: `refuse` answers 503 so often, `cut` shortens so many bodies.

    `spoil` changes bytes of so many bodies and leaves their length.
    """

    target: str
    refuse: int = 0
    cut: int = 0
    spoil: int = 0
    seen: list[str] = field(default_factory=list)
    daemon_threads = True

    def __post_init__(self) -> None:
        super().__init__((HOST, 0), _Handler)
        self.host, _, port = self.target.removeprefix("http://").partition(":")
        self.port = int(port)

    __hash__ = socketserver.ThreadingTCPServer.__hash__

    @property
    def endpoint(self) -> str:
        """Where to ask instead."""
        return f"http://{HOST}:{self.server_address[1]}"


@contextmanager
def faults_before(server: S3Server) -> Iterator[Faults]:
    """A proxy that does nothing until it is told to."""
    proxy = Faults(server.endpoint)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()


class _Handler(socketserver.StreamRequestHandler):
    """One request a connection: enough for a test."""

    server: Faults

    def handle(self) -> None:
        head = _head(self.rfile)
        if not head:
            return
        self.server.seen.append(head.split(b"\r\n")[0].decode("latin-1"))
        body = self.rfile.read(_length(head))
        if self.server.refuse > 0:
            self.server.refuse -= 1
            self.wfile.write(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n")
            self.wfile.write(b"Connection: close\r\n\r\n")
            return
        with socket.create_connection((self.server.host, self.server.port)) as there:
            there.sendall(_closing(head) + body)
            answer = b"".join(iter(lambda: there.recv(65536), b""))
        self.wfile.write(self._spoilt(head, answer))

    def _spoilt(self, head: bytes, answer: bytes) -> bytes:
        front, mark, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"GET") or b"list-type" in head or len(body) < 4:
            return answer
        if self.server.cut > 0:
            self.server.cut -= 1
            return front + mark + body[: len(body) // 2]
        if self.server.spoil > 0:
            self.server.spoil -= 1
            return front + mark + bytes(len(body))
        return answer


def _head(stream: object) -> bytes:
    lines = []
    while line := stream.readline():  # type: ignore[attr-defined]
        lines.append(line)
        if line == b"\r\n":
            return b"".join(lines)
    return b""


def _length(head: bytes) -> int:
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return int(found.group(1)) if found else 0


def _closing(head: bytes) -> bytes:
    """The same request, after which the server closes."""
    kept = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head)
    return kept[:-2] + b"Connection: close\r\n\r\n"

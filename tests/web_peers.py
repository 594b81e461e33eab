"""A DICOMweb peer that answers what a test wants, or as a proxy, and keeps what it was sent."""

import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any

from agent.dicom.web import WebDestination


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer of the peer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request that the peer was sent."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(kw_only=True)
class WebPeer:
    """A running peer."""

    scheme: str = "http"
    port: int = 0
    requests: list[Request] = field(default_factory=list)

    @property
    def destination(self) -> WebDestination:
        return WebDestination(name="web", url=f"{self.scheme}://127.0.0.1:{self.port}/dicom-web")


def ask(url: str, request: Request) -> Answer:
    """What the service at that url says to the request: a peer that asks it is its TLS proxy."""
    passed = ("Accept", "Authorization", "Content-Type")
    forwarded = urllib.request.Request(
        url + request.path,
        data=request.body or None,
        headers={name: request.headers[name] for name in passed if name in request.headers},
    )
    with urllib.request.urlopen(forwarded, timeout=30) as reply:
        return Answer(status=reply.status, body=reply.read())


@contextmanager
def web_peer(
    answer: Callable[[Request], Answer], *, tls: SSLContext | None = None
) -> Iterator[WebPeer]:
    """A peer on a port of its own that answers each request so."""
    peer = WebPeer(scheme="https" if tls else "http")

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            request = Request(
                path=self.path, headers=dict(self.headers), body=self.rfile.read(length)
            )
            peer.requests.append(request)
            given = answer(request)
            self.send_response(given.status)
            for name, value in given.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(given.body)))
            self.end_headers()
            self.wfile.write(given.body)

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def finish_request(self, request: Any, client_address: Any) -> None:
            if tls is None:
                super().finish_request(request, client_address)
                return
            with tls.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)

        def handle_error(self, *_: object) -> None:
            """Say nothing of those who hung up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        peer.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield peer
        finally:
            server.shutdown()
            thread.join()

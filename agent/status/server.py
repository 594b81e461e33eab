"""Serves the page in a thread. Whatever happens to it, the DICOM service goes on."""

import logging
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

logger = logging.getLogger(__name__)

_STOP_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the page is; with both files it speaks TLS."""

    host: str
    port: int
    certificate_file: Path | None = None
    key_file: Path | None = None

    def url(self, port: int) -> str:
        """The address for a browser."""
        scheme = "https" if self.certificate_file else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{port}/"


class StatusServer:
    """One uvicorn in one thread."""

    def __init__(self, app: Starlette, address: Address) -> None:
        self._app = app
        self._address = address
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.port: int | None = None

    @property
    def url(self) -> str | None:
        """Where it answers; None while it does not."""
        return self._address.url(self.port) if self.port else None

    def try_start(self) -> bool:
        """Start; a port that is taken or a wrong certificate is an error in the log, no more."""
        try:
            self.start()
        except OSError as error:
            logger.error(
                "The status page cannot be served at %s:%s: %s; set status.port, or "
                "status.enabled = false",
                self._address.host,
                self._address.port,
                error.strerror or error,
                extra={"action": "status_page_failed"},
            )
            return False
        return True

    def start(self) -> None:
        """Take the port and answer. Raises OSError when the port or a certificate is not usable."""
        family = socket.AF_INET6 if ":" in self._address.host else socket.AF_INET
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
            limit_concurrency=100,
            ssl_certfile=self._address.certificate_file,
            ssl_keyfile=self._address.key_file,
        )
        config.load()
        opened = socket.create_server((self._address.host, self._address.port), family=family)
        self._server = uvicorn.Server(config)
        self.port = int(opened.getsockname()[1])
        self._thread = threading.Thread(
            target=self._server.run, args=([opened],), name="status-page", daemon=True
        )
        self._thread.start()
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        end = time.monotonic() + _STOP_SECONDS
        while self._server and not self._server.started and time.monotonic() < end:
            time.sleep(0.01)

    def stop(self) -> None:
        """End, whether or not it ran."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS)
        self._server = self._thread = self.port = None

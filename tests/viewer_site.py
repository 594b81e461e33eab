"""A web server for viewers: their pages, files of a study, and a PACS's DICOMweb as its own."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_PACS_PATHS = ("/dicom-web/", "/wado")
_TIMEOUT_SECONDS = 30.0


class _Server(ThreadingHTTPServer):
    """What the requests of one site share."""

    folders: tuple[Path, ...] = ()
    pacs_port: int | None = None


class _Request(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        if self.path.startswith(_PACS_PATHS) and self.server.pacs_port:
            self._ask_pacs(self.server.pacs_port)
        else:
            super().do_GET()

    def translate_path(self, path: str) -> str:
        for folder in self.server.folders:
            self.directory = str(folder)
            found = super().translate_path(path)
            if Path(found).is_file():
                return found
        return str(self.server.folders[0] / "index.html")  # the page reads its own address

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: the tests' output is for the tests."""

    def _ask_pacs(self, port: int) -> None:
        # Orthanc writes the host that it was asked for into the addresses that it answers.
        passed = {name: self.headers[name] for name in ("Accept", "Host") if name in self.headers}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("GET", self.path, headers=passed)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.getheader("Content-Type", ""))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running_site(*folders: Path, pacs_port: int | None = None) -> Iterator[str]:
    """The address of a site on this machine; a name is looked for in the folders in turn."""
    server = _Server(("127.0.0.1", 0), _Request)
    server.folders, server.pacs_port = folders, pacs_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

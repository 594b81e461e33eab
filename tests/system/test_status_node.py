"""The status page beside a running node: it tells of a study, and can stop nothing."""

import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import util
from pathlib import Path

import httpx
import pytest

import demo_study
from agent.demo.pacs import SimulatedPacs
from running import RunningNode, running

pytestmark = pytest.mark.slow


def send_demo(node: RunningNode, folder: Path) -> None:
    """The bundled study, as a PACS sends it."""
    with SimulatedPacs(folder / "pacs") as pacs:
        assert all(one.stored for one in pacs.send(demo_study.IMAGES, node.address))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        return int(opened.getsockname()[1])


def test_a_node_shows_its_study_and_that_it_is_well(tmp_path: Path) -> None:
    port = free_port()
    node = RunningNode(folder=tmp_path, status=(f"port = {port}",))
    with running(node), httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.get("/readyz").text == "ok\n"
        send_demo(node, tmp_path)
        node.wait_for_end()
        shown = client.get("/").text
        assert "All is well" in shown
        assert "Abnormality flagged" in shown
        assert "slot 0" in shown
        assert "neurosieve_workers 1.0" in client.get("/metrics").text
        assert node.stop() == 0


def test_a_taken_port_does_not_stop_the_node(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        node = RunningNode(folder=tmp_path, status=(f"port = {taken.getsockname()[1]}",))
        with running(node):
            assert node.events("status_page_failed")
            send_demo(node, tmp_path)
            node.wait_for_end()


def test_the_page_runs_alone(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    folder = (tmp_path / "data").as_posix()
    file.write_text(f'[node]\ndata_dir = "{folder}"\n[status]\nport = 0\n')
    command = [sys.executable, "-m", "agent.cli", "status", "--config", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready status=http://127.0.0.1:")
        assert httpx.get(line.strip().partition("=")[2]).status_code == 200
        process.terminate()
        assert process.wait(30) == 0


def test_traces_reach_their_receiver(tmp_path: Path) -> None:
    if util.find_spec("opentelemetry") is None:
        pytest.skip("OpenTelemetry is not installed (pip install neurosieve[otel])")
    came = threading.Event()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            came.set()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not to the terminal."""

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}/v1/traces"
        traced = ("enabled = false", "[telemetry]", f'traces_endpoint = "{endpoint}"')
        node = RunningNode(folder=tmp_path, status=traced)
        with running(node):
            send_demo(node, tmp_path)
            node.wait_for_end()
            node.stop()
        assert came.wait(10)
        server.shutdown()

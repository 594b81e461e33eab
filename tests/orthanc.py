"""A real Orthanc on this machine, by rule routing every MR series to a node, or serving viewers."""

import json
import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from agent.dicom.sender import Destination
from running import wait_until

ROUTE = Path(__file__).resolve().parents[1] / "deploy" / "orthanc-route.lua"
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True, kw_only=True)
class Orthanc:
    """A running Orthanc."""

    dicom_port: int
    http_port: int

    @property
    def destination(self) -> Destination:
        """This PACS, as a node sees it."""
        return Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=self.dicom_port)

    def get(self, path: str) -> Any:
        """One answer of the REST interface."""
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.http_port}{path}", timeout=10
        ) as reply:
            return json.load(reply)

    def put(self, file: bytes) -> None:
        """Keep one DICOM file."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}/instances", data=file, method="POST"
        )
        urllib.request.urlopen(request, timeout=10).close()

    def modalities(self) -> dict[str, int]:
        """How many instances there are of each modality."""
        found: dict[str, int] = {}
        for series in self.get("/series?expand"):
            name = series["MainDicomTags"]["Modality"]
            found[name] = found.get(name, 0) + len(series["Instances"])
        return found

    def files(self, modality: str) -> Iterator[bytes]:
        """The DICOM files of one modality."""
        for series in self.get("/series?expand"):
            if series["MainDicomTags"]["Modality"] == modality:
                for instance in series["Instances"]:
                    url = f"http://127.0.0.1:{self.http_port}/instances/{instance}/file"
                    with urllib.request.urlopen(url, timeout=10) as reply:
                        yield reply.read()


@contextmanager
def running_orthanc(
    folder: Path, *, node_port: int | None = None, dicomweb: bool = False
) -> Iterator[Orthanc]:
    """An Orthanc that routes to the node at that port, if any, or a skip where there is none."""
    program = shutil.which("Orthanc")
    if program is None:
        pytest.skip("Orthanc is not installed (Debian package orthanc)")
    if dicomweb and not DICOMWEB.is_file():
        pytest.skip("Orthanc's DICOMweb is not installed (Debian package orthanc-dicomweb)")
    orthanc = Orthanc(dicom_port=free_port(), http_port=free_port())
    configuration = _configuration(folder, orthanc, node_port, dicomweb=dicomweb)
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            [program, str(configuration)],
            stdout=log,
            stderr=log,
            env=os.environ | {"TCP_NODELAY": "1"},
        )
        try:
            wait_until(lambda: _answers(orthanc), timeout_seconds=30, what="Orthanc")
            yield orthanc
        finally:
            process.terminate()
            process.wait(timeout=30)


def free_port() -> int:
    """A TCP port that nobody uses at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _configuration(
    folder: Path, orthanc: Orthanc, node_port: int | None, *, dicomweb: bool
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    values: dict[str, object] = {
        "Name": "PACS",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(DICOMWEB)] if dicomweb else [],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "HttpPort": orthanc.http_port,
        "DicomAet": "PACS",
        "DicomPort": orthanc.dicom_port,
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "StableAge": 1,
        "OverwriteInstances": True,
        "SaveJobs": False,
        "DicomAssociationCloseDelay": 0,
        "MaximumPduLength": 131072,
    }
    if node_port is not None:
        values["LuaScripts"] = [str(ROUTE)]
        values["DicomModalities"] = {"neurosieve": ["NEUROSIEVE", "127.0.0.1", node_port]}
    file = folder / "orthanc.json"
    file.write_text(json.dumps(values), encoding="utf-8")
    return file


def _answers(orthanc: Orthanc) -> bool:
    try:
        return bool(orthanc.get("/system"))
    except (URLError, ConnectionError):
        return False

"""A real Orthanc on this machine: routes MR series to a node, or offers DICOMweb."""

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from pydantic import SecretStr

from agent.dicom.peer import Destination
from agent.dicom.tls import TlsFiles
from agent.dicom.web import WebDestination
from running import wait_until

WEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
RECIPE = Path(__file__).resolve().parents[1] / "deploy" / "routing" / "orthanc"


@dataclass(frozen=True, kw_only=True)
class Orthanc:
    """A running Orthanc."""

    dicom_port: int
    http_port: int
    login: tuple[str, str] | None = None
    pid: int = 0

    @property
    def destination(self) -> Destination:
        """This PACS, as a node sees it."""
        return Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=self.dicom_port)

    @property
    def web_destination(self) -> WebDestination:
        """The same by STOW-RS, with a login that is let in."""
        assert self.login is not None
        username, password = self.login
        return WebDestination(
            name="web",
            url=f"{self.url}/dicom-web",
            username=username,
            password=SecretStr(password),
        )

    @property
    def url(self) -> str:
        """Where the REST interface is."""
        return f"http://127.0.0.1:{self.http_port}"

    def read(self, path: str, *, posted: bytes | None = None, method: str | None = None) -> bytes:
        """What the REST interface answers."""
        request = urllib.request.Request(f"{self.url}{path}", data=posted, method=method)
        if self.login:
            login = b64encode(":".join(self.login).encode()).decode()
            request.add_header("Authorization", f"Basic {login}")
        with urllib.request.urlopen(request, timeout=10) as reply:
            return bytes(reply.read())

    def get(self, path: str) -> Any:
        """One answer of the REST interface."""
        return json.loads(self.read(path))

    def put(self, file: bytes) -> None:
        """Keep one DICOM file."""
        self.read("/instances", posted=file)

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
                    yield self.read(f"/instances/{instance}/file")

    def file_of(self, sop_uid: str) -> bytes:
        """The DICOM file of one object."""
        (found,) = json.loads(self.read("/tools/lookup", posted=sop_uid.encode()))
        return self.read(f"{found['Path']}/file")


@contextmanager
def running_orthanc(
    folder: Path,
    *,
    node_port: int | None = None,
    login: tuple[str, str] | None = None,
    dicomweb: bool = False,
    routes: bool = True,
    tls: TlsFiles | None = None,
) -> Iterator[Orthanc]:
    """An Orthanc, or a skip where there is none.

    With a port it knows the node there, and routes to it unless told not to. DICOMweb is open to
    all, or to who knows the login. With TLS files it speaks DICOM over TLS only, both ways.
    """
    program = shutil.which("Orthanc")
    if program is None:
        pytest.skip("Orthanc is not installed (Debian package orthanc)")
    dicomweb = dicomweb or login is not None
    if dicomweb and not WEB_PLUGIN.exists():
        pytest.skip("Orthanc's DICOMweb is not installed (Debian package orthanc-dicomweb)")
    orthanc = Orthanc(dicom_port=free_port(), http_port=free_port(), login=login)
    configuration = _configuration(
        folder, orthanc, node_port, dicomweb=dicomweb, routes=routes, tls=tls
    )
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            [program, str(configuration)],
            stdout=log,
            stderr=log,
            env=os.environ | {"TCP_NODELAY": "1"},
        )
        try:
            wait_until(lambda: _answers(orthanc), timeout_seconds=30, what="Orthanc")
            yield replace(orthanc, pid=process.pid)
        finally:
            process.terminate()
            process.wait(timeout=30)


def free_port() -> int:
    """A TCP port that nobody uses, below those that outgoing connections take meanwhile."""
    for port in random.sample(range(15000, 32000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("100 ports are in use")


def _configuration(
    folder: Path,
    orthanc: Orthanc,
    node_port: int | None,
    *,
    dicomweb: bool,
    routes: bool,
    tls: TlsFiles | None,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shipped = json.loads((RECIPE / "orthanc.json").read_text(encoding="utf-8"))
    values: dict[str, Any] = shipped | {
        "Name": "PACS",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [],
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
        "LuaScripts": [],
        "DicomModalities": {},
    }
    if node_port is not None:
        values["LuaScripts"] = [str(RECIPE / "neurosieve-route.lua")] if routes else []
        values["DicomModalities"] = {"neurosieve": ["NEUROSIEVE", "127.0.0.1", node_port]}
    if tls is not None:
        values |= {
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(tls.certificate_file),
            "DicomTlsPrivateKey": str(tls.key_file),
            "DicomTlsTrustedCertificates": str(tls.ca_file),
        }
        for one in values["DicomModalities"]:
            title, host, port = values["DicomModalities"][one]
            values["DicomModalities"][one] = {
                "AET": title,
                "Host": host,
                "Port": port,
                "UseDicomTls": True,
            }
    if dicomweb:
        values["Plugins"] = [str(WEB_PLUGIN)]
        values["DicomWeb"] = {"Enable": True, "Root": "/dicom-web/"}
    if orthanc.login is not None:
        values["AuthenticationEnabled"] = True
        values["RegisteredUsers"] = dict([orthanc.login])
    file = folder / "orthanc.json"
    file.write_text(json.dumps(values), encoding="utf-8")
    return file


def _answers(orthanc: Orthanc) -> bool:
    try:
        return bool(orthanc.get("/system"))
    except (URLError, ConnectionError):
        return False

"""Certificates for TLS between a node and its peers, made by the openssl command."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.dicom.tls import TlsFiles


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """An authority of our own, and what it signed, all PEM. `server` holds key and certificate."""

    authority: Path
    server: Path
    client: Path
    client_key: Path

    @property
    def folder(self) -> Path:
        return self.authority.parent

    def files(self, name: str) -> TlsFiles:
        """What a node needs that has the certificate of this name."""
        return TlsFiles(
            certificate_file=self.folder / f"{name}.pem",
            key_file=self.folder / f"{name}.key",
            ca_file=self.authority,
        )

    def sign(self, name: str, *, host: str = "127.0.0.1", days: int = 2) -> TlsFiles:
        """One more certificate; it has expired where the days are negative."""
        _signed(self.folder, name, host, days)
        return self.files(name)


def make(folder: Path, *, host: str = "127.0.0.1") -> Certificates:
    """A new authority with a server and a client, or a skip where there is no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian package openssl)")
    folder.mkdir(parents=True)
    _openssl(
        folder,
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority"),
        *("-addext", "keyUsage=critical,keyCertSign", "-keyout", "ca.key", "-out", "ca.pem"),
    )
    for name in ("server", "client"):
        _signed(folder, name, host, 2)
    server = folder / "server-with-key.pem"
    server.write_bytes(b"".join((folder / f"server.{end}").read_bytes() for end in ("key", "pem")))
    return Certificates(
        authority=folder / "ca.pem",
        server=server,
        client=folder / "client.pem",
        client_key=folder / "client.key",
    )


def _signed(folder: Path, name: str, host: str, days: int) -> None:
    (folder / "names.txt").write_text(f"subjectAltName=IP:{host}\n", encoding="ascii")
    _openssl(
        folder,
        *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
        *("-keyout", f"{name}.key", "-out", f"{name}.csr"),
    )
    _openssl(
        folder,
        *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
        *("-CAcreateserial", "-days", str(days), "-extfile", "names.txt", "-out", f"{name}.pem"),
    )


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

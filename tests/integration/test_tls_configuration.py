"""The section [tls]: from the file to a node that speaks it, and what doctor says of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import certificates
import command
from agent import bootstrap, settings
from agent.cli import doctor
from agent.dicom import sender, tls
from agent.dicom.peer import Destination
from agent.dicom.tls import TlsFiles
from agent.errors import ConfigurationError, PeerError
from agent.node import Node
from certificates import Certificates


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("tls") / "ours")


def section(files: TlsFiles, *lines: str) -> str:
    return "\n".join(
        [
            "[tls]",
            f'certificate_file = "{files.certificate_file}"',
            f'key_file = "{files.key_file}"',
            f'ca_file = "{files.ca_file}"',
            "port = 0",
            *lines,
            "",
        ]
    )


def written(folder: Path, *texts: str) -> Path:
    file = folder / "agent.toml"
    node = f'[node]\ndata_dir = "{folder / "data"}"\nport = 0\nreserve_gb = 0.0\n'
    status = "[status]\nenabled = false\n"
    file.write_text("\n".join([node, status, *texts]), encoding="utf-8")
    return file


def said_of_tls(config: Path) -> tuple[str, str]:
    rows = json.loads(command.run(config, "doctor", "--json").stdout)
    ((result, detail),) = [(one["result"], one["detail"]) for one in rows if one["check"] == "tls"]
    return result, detail


@contextmanager
def running(node: Node) -> Iterator[Node]:
    node.start()
    try:
        yield node
    finally:
        node.stop()


@pytest.mark.parametrize(
    ("days", "result", "word"),
    [
        (doctor.CERTIFICATE_DAYS + 300, "ok", "more days"),
        (doctor.CERTIFICATE_DAYS - 10, "warning", "renew it"),
        (-1, "failed", "has expired"),
    ],
)
def test_doctor_tells_how_long_the_certificate_counts(
    ours: Certificates, tmp_path: Path, days: int, result: str, word: str
) -> None:
    said = said_of_tls(written(tmp_path, section(ours.sign(f"doctor-{days}", days=days))))
    assert said[0] == result
    assert word in said[1]


def test_doctor_tells_of_files_that_cannot_be_used(ours: Certificates, tmp_path: Path) -> None:
    files = TlsFiles(
        certificate_file=ours.client, key_file=tmp_path / "absent.key", ca_file=ours.authority
    )
    result, detail = said_of_tls(written(tmp_path, section(files)))
    assert result == "failed"
    assert "[tls]" in detail


def test_doctor_says_that_there_is_none(tmp_path: Path) -> None:
    assert said_of_tls(written(tmp_path)) == ("ok", "off: DICOM is not encrypted")


def test_a_configured_node_speaks_tls_and_nothing_else(ours: Certificates, tmp_path: Path) -> None:
    values = settings.load(written(tmp_path, section(ours.files("server"), "only = true")))
    with running(bootstrap.build_node(values, listens=True, works=False)) as node:
        assert node.reception is not None
        listener = node.reception.listener
        assert listener.port == listener.tls_port
        by_tls = Destination(
            name="node",
            ae_title="NEUROSIEVE",
            host="127.0.0.1",
            port=listener.port,
            identity=tls.for_calls(ours.files("client")),
        )
        sender.echo(by_tls, calling_ae="ANY")
        plain = Destination(
            name="node", ae_title="NEUROSIEVE", host="127.0.0.1", port=listener.port
        )
        with pytest.raises(PeerError):
            sender.echo(plain, calling_ae="ANY")


def test_a_destination_speaks_tls_where_that_is_said(ours: Certificates, tmp_path: Path) -> None:
    tables = [
        f'[[destinations]]\nname = "{name}"\nae_title = "PACS"\nport = 104\n{line}\n'
        for name, line in (("plain", ""), ("secret", "tls = true"))
    ]
    values = settings.load(written(tmp_path, section(ours.files("client")), *tables))
    plain, secret = bootstrap.destinations(values)
    assert isinstance(plain, Destination)
    assert plain.identity is None
    assert isinstance(secret, Destination)
    assert secret.identity is not None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[tls]\ncertificate_file = "a.pem"', "belong together"),
        ("[tls]\nonly = true", "only = true needs"),
        (
            '[[destinations]]\nname = "p"\nae_title = "P"\nport = 104\ntls = true',
            r"needs the section \[tls\]",
        ),
        (
            '[[destinations]]\nname = "p"\ntransport = "stow"\nurl = "https://p"\ntls = true',
            "does not know tls",
        ),
    ],
)
def test_half_a_configuration_is_refused(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        settings.load(written(tmp_path, text))

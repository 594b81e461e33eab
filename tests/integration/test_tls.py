"""DICOM over TLS, both ways, with certificates made by openssl and with real peers."""

import logging
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import builders
import certificates
import strangers
from agent.dicom import sender, tls
from agent.dicom.admission import Quota, TlsEntrance
from agent.dicom.front_door import FrontDoor, Sender
from agent.dicom.peer import Destination
from agent.dicom.tls import TlsFiles
from agent.errors import ConfigurationError, PeerError
from certificates import Certificates
from orthanc import running_orthanc
from reception import HOST, ReceivingNode, receiving_node, saved
from running import wait_until

AEAD = ("GCM", "CHACHA20")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("tls") / "other")


@contextmanager
def tls_node(
    folder: Path, files: TlsFiles, *, door: FrontDoor | None = None, is_plain: bool = True
) -> Iterator[ReceivingNode]:
    folder.mkdir(exist_ok=True)
    entrance = TlsEntrance(port=0, identity=tls.for_callers(files))
    quota = Quota(request_seconds=2.0)
    with receiving_node(folder, tls=entrance, quota=quota, door=door, is_plain=is_plain) as running:
        yield running


@pytest.fixture(scope="module")
def node(ours: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceivingNode]:
    with tls_node(tmp_path_factory.mktemp("node"), ours.files("server")) as running:
        yield running


def destination(node: ReceivingNode, files: TlsFiles, *, host: str = HOST) -> Destination:
    port = node.listener.tls_port
    assert port is not None
    return Destination(
        name="node", ae_title="NODE", host=host, port=port, identity=tls.for_calls(files)
    )


def test_a_peer_with_a_certificate_may_send(
    node: ReceivingNode, ours: Certificates, tmp_path: Path
) -> None:
    images = builders.flair_series(slices=3, study="tls")
    outcomes = sender.send(
        saved(images, tmp_path), destination(node, ours.files("client")), calling_ae="MODALITY"
    )
    assert [one.stored for one in outcomes] == [True] * 3
    assert len(node.files(images[0].StudyInstanceUID)) == 3


def test_the_plain_port_stays_open_unless_it_is_told_not_to(
    node: ReceivingNode, ours: Certificates, tmp_path: Path
) -> None:
    assert node.listener.port != node.listener.tls_port
    sender.echo(node.destination, calling_ae="MODALITY")
    with tls_node(tmp_path, ours.files("server"), is_plain=False) as secret:
        assert secret.listener.port == secret.listener.tls_port
        sender.echo(destination(secret, ours.files("client")), calling_ae="MODALITY")
        with pytest.raises(PeerError):
            sender.echo(secret.destination, calling_ae="MODALITY")


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        ("wrong", "unable to get local issuer certificate"),
        ("expired", "certificate has expired"),
        ("absent", "peer did not return a certificate"),
    ],
)
def test_any_other_certificate_is_refused(
    ours: Certificates,
    other: Certificates,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    shown: str,
    why: str,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ours.authority)
    if shown == "wrong":
        context.load_cert_chain(other.client, other.client_key)
    if shown == "expired":
        expired = ours.sign("expired", days=-1)
        context.load_cert_chain(expired.certificate_file, expired.key_file)
    with (
        tls_node(tmp_path, ours.files("server")) as running,
        caplog.at_level(logging.INFO),
    ):
        assert not is_answered(running, context)
        wait_until(lambda: why in caplog.text, timeout_seconds=5, what="the line in the log")
    assert "Traceback" not in caplog.text


def is_answered(node: ReceivingNode, context: ssl.SSLContext) -> bool:
    """Whether an association request gets an answer; with TLS 1.3 the refusal comes late."""
    port = node.listener.tls_port
    try:
        with (
            socket.create_connection((HOST, port or 0), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=HOST) as secret,
        ):
            secret.sendall(strangers.association_request())
            return strangers.read_pdu(secret) != b""
    except (ssl.SSLError, ConnectionError):
        return False


def client(ours: Certificates) -> ssl.SSLContext:
    """A caller that would speak anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_verify_locations(ours.authority)
    context.load_cert_chain(ours.client, ours.client_key)
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "spoken"),
    [
        (ssl.TLSVersion.TLSv1, False),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
def test_the_versions_spoken_are_1_2_and_1_3(
    node: ReceivingNode, ours: Certificates, version: ssl.TLSVersion, spoken: bool
) -> None:
    context = client(ours)
    context.minimum_version = context.maximum_version = version
    assert is_answered(node, context) == spoken


def test_every_cipher_of_tls_1_2_that_is_taken_is_ecdhe_with_aead(
    node: ReceivingNode, ours: Certificates
) -> None:
    offered = [one["name"] for one in client(ours).get_ciphers() if one["protocol"] != "TLSv1.3"]
    assert len(offered) > 30
    taken = set()
    for name in offered:
        context = client(ours)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{name}:@SECLEVEL=0")
        if is_answered(node, context):
            taken.add(name)
    assert taken == {
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-RSA-AES128-GCM-SHA256",
    }


@pytest.mark.parametrize(
    ("suite", "taken"),
    [
        ("TLS_AES_256_GCM_SHA384", True),
        ("TLS_CHACHA20_POLY1305_SHA256", True),
        ("TLS_AES_128_GCM_SHA256", True),
        ("TLS_AES_128_CCM_8_SHA256", False),
    ],
)
def test_the_suites_of_tls_1_3(
    node: ReceivingNode, ours: Certificates, suite: str, taken: bool
) -> None:
    done = subprocess.run(
        [
            *("openssl", "s_client", "-tls1_3", "-ciphersuites", suite),
            *("-CAfile", str(ours.authority), "-cert", str(ours.client)),
            *("-key", str(ours.client_key), "-connect", f"{HOST}:{node.listener.tls_port}"),
        ],
        input=b"",
        capture_output=True,
        timeout=30,
    )
    assert (f"Cipher is {suite}".encode() in done.stdout) == taken


def test_callers_in_the_middle_of_a_handshake_hold_nobody_up(
    node: ReceivingNode, ours: Certificates
) -> None:
    port = node.listener.tls_port
    assert port is not None
    with strangers.silent_crowd(
        port, 300, [f"127.0.0.{number}" for number in range(2, 12)]
    ) as all_:
        for one in all_[-100:]:
            one.sendall(bytes.fromhex("160301020001"))
        started = time.monotonic()
        sender.echo(destination(node, ours.files("client")), calling_ae="MODALITY")
        assert time.monotonic() - started < 1.0


def test_a_plain_request_at_the_tls_port_is_one_line_in_the_log(
    ours: Certificates, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with tls_node(tmp_path, ours.files("server")) as running, caplog.at_level(logging.INFO):
        with strangers.connection(running.listener.tls_port or 0) as opened:
            opened.sendall(strangers.association_request())
            strangers.read_to_end(opened)
        wait_until(lambda: "No TLS" in caplog.text, timeout_seconds=5, what="the line in the log")
    assert caplog.text.count("connection_closed") <= 1
    assert "Traceback" not in caplog.text


def test_a_renewed_certificate_is_shown_without_a_restart_and_a_broken_one_is_not(
    ours: Certificates, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = TlsFiles(
        certificate_file=tmp_path / "c.pem", key_file=tmp_path / "k.pem", ca_file=ours.authority
    )
    caller = destination_files = ours.files("client")

    def put(source: TlsFiles) -> None:
        shutil.copy(source.certificate_file, files.certificate_file)
        shutil.copy(source.key_file, files.key_file)

    def shown(running: ReceivingNode) -> bytes | None:
        with (
            socket.create_connection((HOST, running.listener.tls_port or 0), timeout=10) as plain,
            tls.for_calls(caller).context().wrap_socket(plain, server_hostname=HOST) as secret,
        ):
            return secret.getpeercert(binary_form=True)

    def serves(running: ReceivingNode) -> None:
        sender.echo(destination(running, destination_files), calling_ae="MODALITY")

    put(ours.files("server"))
    with tls_node(tmp_path / "node", files) as running:
        first = shown(running)
        put(ours.sign("second"))
        second = shown(running)
        assert second != first
        serves(running)

        files.certificate_file.write_text("no certificate", encoding="ascii")
        assert shown(running) == second
        assert "certificate_unusable" in [getattr(one, "action", "") for one in caplog.records]
        serves(running)

        put(ours.sign("third"))
        assert shown(running) not in (first, second)


def test_files_that_cannot_be_used_stop_the_start(ours: Certificates, tmp_path: Path) -> None:
    absent = replace(ours.files("server"), key_file=tmp_path / "absent.key")
    with pytest.raises(ConfigurationError, match=r"\[tls\].*No such file"):
        tls.for_callers(absent)
    mixed = replace(ours.files("server"), key_file=ours.client_key)
    with pytest.raises(ConfigurationError, match=r"\[tls\].*"):
        tls.for_callers(mixed)


def test_a_destination_in_another_name_or_of_another_authority_gets_nothing(
    ours: Certificates, other: Certificates, tmp_path: Path
) -> None:
    files = ours.files("client")
    elsewhere = ours.sign("elsewhere", host="10.9.8.7")
    for server in (elsewhere, other.files("server")):
        with (
            tls_node(tmp_path / server.certificate_file.name, server) as running,
            pytest.raises(PeerError, match="TLS"),
        ):
            sender.echo(destination(running, files), calling_ae="MODALITY")


def test_a_peer_may_be_bound_to_its_certificate(ours: Certificates, tmp_path: Path) -> None:
    door = FrontDoor([Sender(ae_title="PACS", host=HOST, certificate="client")], this_machine=False)
    with tls_node(tmp_path, ours.files("server"), door=door) as running:
        sender.echo(destination(running, ours.files("client")), calling_ae="PACS")
        with pytest.raises(PeerError, match="refused"):
            sender.echo(destination(running, ours.files("server")), calling_ae="PACS")
        with pytest.raises(PeerError, match="refused"):
            sender.echo(running.destination, calling_ae="PACS")


@pytest.mark.parametrize("days", [-1, 2, 400])
def test_the_time_that_a_certificate_has_left(ours: Certificates, days: int) -> None:
    left = tls.time_left(ours.sign(f"for-{days}", days=days).certificate_file)
    assert abs(left.total_seconds() / 86400 - days) < 0.1


@pytest.mark.peer
def test_dcmtk_sends_by_tls(node: ReceivingNode, ours: Certificates, tmp_path: Path) -> None:
    if shutil.which("echoscu") is None:
        pytest.skip("DCMTK's echoscu is not installed (Debian package dcmtk)")

    def call(program: str, *arguments: str) -> int:
        secret = ["+tls", str(ours.client_key), str(ours.client), "+cf", str(ours.authority)]
        return subprocess.run(
            [program, *secret, HOST, str(node.listener.tls_port), *arguments],
            env=os.environ | {"TCP_NODELAY": "1"},
            capture_output=True,
            timeout=60,
        ).returncode

    image = builders.flair_series(slices=1, study="dcmtk-tls")
    (item,) = saved(image, tmp_path)
    assert call("echoscu") == 0
    assert call("storescu", str(item.path)) == 0
    assert len(node.files(image[0].StudyInstanceUID)) == 1


@pytest.mark.peer
def test_orthanc_speaks_tls_both_ways(
    node: ReceivingNode, ours: Certificates, tmp_path: Path
) -> None:
    pacs_files = ours.sign("pacs")
    with running_orthanc(
        tmp_path / "orthanc", node_port=node.listener.tls_port, tls=pacs_files
    ) as pacs:
        by_tls = replace(pacs.destination, identity=tls.for_calls(ours.files("client")))
        sender.echo(by_tls, calling_ae="NEUROSIEVE")
        with pytest.raises(PeerError):
            sender.echo(pacs.destination, calling_ae="NEUROSIEVE")
        images = builders.flair_series(slices=2, study="orthanc-tls")
        outcomes = sender.send(saved(images, tmp_path / "images"), by_tls, calling_ae="NEUROSIEVE")
        assert [one.stored for one in outcomes] == [True, True]
        assert pacs.modalities() == {"MR": 2}
        study = images[0].StudyInstanceUID
        # Orthanc's script routes what came in to the node, by TLS.
        wait_until(lambda: len(node.files(study)) == 2, timeout_seconds=30, what="the images back")

"""STOW-RS against a real Orthanc, and against peers that answer what Orthanc never would."""

import json
import logging
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
from dicomweb_client import DICOMwebClient, session_utils
from pydantic import SecretStr
from pydicom import dcmread
from pydicom.dataset import Dataset
from requests.auth import HTTPBasicAuth

import builders
import certificates
import results
from agent.dicom import web
from agent.dicom.objects import heatmap, report, segmentation
from agent.dicom.sender import SendItem
from agent.dicom.web import WebDestination
from agent.errors import PeerError
from certificates import Certificates
from orthanc import Orthanc, free_port, running_orthanc
from reception import saved
from storage.records import SopUid
from web_peers import Answer, Request, WebPeer, ask, web_peer

LOGIN = ("node", "pässword")  # RFC 7617: UTF-8
SECRET = "s3cret-t0ken"


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path_factory.mktemp("orthanc"), login=LOGIN) as started:
        yield started


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture
def secure(made: Certificates) -> Iterator[WebPeer]:
    """A peer that speaks TLS with a certificate of our authority."""
    with web_peer(lambda _: Answer(body=b"[]"), tls=server_context(made)) as peer:
        yield peer


def server_context(made: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=made.authority)
    context.load_cert_chain(made.server)
    return context


def result_objects() -> list[Dataset]:
    """Segmentation, report and pictures of one study."""
    case = results.analysed(builders.flair_series(slices=6))
    seg = segmentation.build(case.context, case.findings)
    return [
        seg,
        report.build(case.context, findings=case.findings, segmentation=seg),
        *heatmap.build(case.context, case.findings, case.volume),
    ]


def written(folder: Path, objects: list[Dataset]) -> list[SendItem]:
    folder.mkdir(exist_ok=True)
    items = []
    for number, dataset in enumerate(objects):
        path = folder / f"{number:02}.dcm"
        path.write_bytes(results.encoded(dataset))
        items.append(
            SendItem(
                path=path,
                sop_uid=SopUid(str(dataset.SOPInstanceUID)),
                sop_class_uid=str(dataset.SOPClassUID),
                transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
            )
        )
    return items


def images(folder: Path, count: int = 2) -> list[SendItem]:
    return saved(builders.flair_series(slices=count), folder)


def naming(items: list[SendItem], sequence: str = "00081199") -> bytes:
    """An answer that names these in the ReferencedSOPSequence, or in another."""
    named = [{"00081155": {"vr": "UI", "Value": [item.sop_uid]}} for item in items]
    return json.dumps({sequence: {"vr": "SQ", "Value": named}}).encode()


@pytest.mark.peer
def test_results_arrive_in_orthanc_to_the_byte(pacs: Orthanc, tmp_path: Path) -> None:
    items = written(tmp_path, result_objects())
    outcomes = web.send(items, pacs.web_destination)
    assert [(one.sop_uid, one.stored, one.status) for one in outcomes] == [
        (item.sop_uid, True, 200) for item in items
    ]
    arrived = [file for kind in ("SEG", "SR", "OT") for file in pacs.files(kind)]
    assert sorted(arrived) == sorted(item.path.read_bytes() for item in items)


@pytest.mark.peer
def test_results_are_read_back_by_dicomweb(pacs: Orthanc, tmp_path: Path) -> None:
    """By a client that is not ours, from the study that they belong to."""
    objects = result_objects()
    web.send(written(tmp_path, objects), pacs.web_destination)
    with session_utils.create_session_from_auth(
        HTTPBasicAuth(*(text.encode() for text in LOGIN))
    ) as session:
        client = DICOMwebClient(pacs.web_destination.url, session)
        for sent in objects[:3]:
            found = client.retrieve_instance(
                sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.SOPInstanceUID
            )
            assert found == dcmread(BytesIO(results.encoded(sent)))


@pytest.mark.peer
def test_sending_again_is_no_error(pacs: Orthanc, tmp_path: Path) -> None:
    items = images(tmp_path)
    for _ in range(2):
        assert [one.stored for one in web.send(items, pacs.web_destination)] == [True, True]


@pytest.mark.peer
def test_a_damaged_file_fails_alone(pacs: Orthanc, tmp_path: Path) -> None:
    """Orthanc answers HTTP 400 and yet says what it stored."""
    good, damaged = images(tmp_path)
    damaged.path.write_bytes(b"rubbish")
    stored, refused = web.send([good, damaged], pacs.web_destination)
    assert stored.stored
    assert (refused.stored, refused.status) == (False, 400)


@pytest.mark.peer
def test_orthanc_lets_us_in(pacs: Orthanc, tmp_path: Path) -> None:
    web.send(images(tmp_path), pacs.web_destination)
    assert web.check(pacs.web_destination) == 1


@pytest.mark.peer
def test_a_wrong_password_is_named_and_not_shown(pacs: Orthanc, tmp_path: Path) -> None:
    wrong = replace(pacs.web_destination, password=SecretStr(SECRET))
    with pytest.raises(PeerError, match="HTTP 401") as caught:
        web.send(images(tmp_path), wrong)
    assert caught.value.retryable
    assert SECRET not in f"{caught.value}{wrong!r}"
    with pytest.raises(PeerError, match=r"web .* does not let us in"):
        web.check(wrong)


@pytest.mark.peer
def test_a_url_that_is_not_the_root_is_named(pacs: Orthanc) -> None:
    elsewhere = replace(pacs.web_destination, url=f"{pacs.url}/elsewhere")
    with pytest.raises(PeerError, match="HTTP 404"):
        web.check(elsewhere)


@pytest.mark.peer
def test_results_arrive_by_tls(pacs: Orthanc, made: Certificates, tmp_path: Path) -> None:
    """Through a proxy, as sites do: Orthanc 1.10.1, which Debian 12 has, dies of SslEnabled."""
    items = images(tmp_path)
    with web_peer(partial(ask, pacs.url), tls=server_context(made)) as proxy:
        destination = replace(
            pacs.web_destination, url=proxy.destination.url, ca_file=made.authority
        )
        assert web.check(destination) == 1
        assert [one.stored for one in web.send(items, destination)] == [True, True]


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_no_variable_replaces_the_configured_authority(
    secure: WebPeer, made: Certificates, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """requests alone would trust what the variable names, and not our ca_file."""
    monkeypatch.setenv(variable, str(made.authority))
    with pytest.raises(PeerError, match="not trusted"):
        web.check(secure.destination)


def test_an_authority_that_is_not_ours_is_refused(secure: WebPeer, tmp_path: Path) -> None:
    other = certificates.make(tmp_path / "other")
    with pytest.raises(PeerError, match="certificate that is not trusted"):
        web.check(replace(secure.destination, ca_file=other.authority))
    assert secure.requests == []


def test_a_certificate_of_another_host_is_refused(secure: WebPeer, made: Certificates) -> None:
    url = secure.destination.url.replace("127.0.0.1", "localhost")
    with pytest.raises(PeerError, match="not trusted: Hostname mismatch"):
        web.check(replace(secure.destination, url=url, ca_file=made.authority))


def test_a_peer_that_asks_for_our_certificate_gets_it(made: Certificates) -> None:
    context = server_context(made)
    context.verify_mode = ssl.CERT_REQUIRED
    with web_peer(lambda _: Answer(body=b"[]"), tls=context) as peer:
        nobody = replace(peer.destination, ca_file=made.authority)
        with pytest.raises(PeerError, match="cannot be reached"):
            web.check(nobody)
        assert peer.requests == []
        known = replace(nobody, certificate_file=made.client, key_file=made.client_key)
        assert web.check(known) == 0


@pytest.mark.parametrize("key", ["ca_file", "certificate_file", "key_file", "token_file"])
@pytest.mark.parametrize("text", [None, "", "no PEM\n\nat all"])
def test_a_file_of_ours_that_cannot_be_used_is_a_peer_error(
    made: Certificates, tmp_path: Path, key: str, text: str | None
) -> None:
    file = tmp_path / "file"
    if text is not None:
        file.write_text(text)
    files = {"certificate_file": made.client, "key_file": made.client_key} | {key: file}
    broken = WebDestination(
        name="web",
        url=f"https://127.0.0.1:{free_port()}",
        token_file=files.get("token_file"),
        ca_file=files.get("ca_file"),
        certificate_file=files["certificate_file"],
        key_file=files["key_file"],
    )
    with pytest.raises(PeerError, match="web"):
        web.check(broken)


def test_plain_http_behind_an_https_url_is_named() -> None:
    with web_peer(lambda _: Answer()) as peer:
        secure = replace(peer.destination, url=peer.destination.url.replace("http", "https"))
        with pytest.raises(PeerError, match="TLS"):
            web.check(secure)


def test_a_server_that_is_not_there_is_a_peer_error(tmp_path: Path) -> None:
    nobody = WebDestination(name="web", url=f"http://127.0.0.1:{free_port()}/dicom-web")
    with pytest.raises(PeerError, match="cannot be reached") as caught:
        web.send(images(tmp_path), nobody)
    assert caught.value.retryable
    assert web.send([], nobody) == []


def test_a_server_that_stays_silent_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(PeerError, match="did not answer in time"):
            web.check(WebDestination(name="web", url=url, answer_seconds=0.2))


def test_objects_refused_with_409_carry_their_reason(tmp_path: Path) -> None:
    items = images(tmp_path)
    body = json.dumps(
        {
            "00081198": {
                "vr": "SQ",
                "Value": [
                    {
                        "00081155": {"vr": "UI", "Value": [item.sop_uid]},
                        "00081197": {"vr": "US", "Value": [0xC122]},
                    }
                    for item in items
                ],
            }
        }
    ).encode()
    with web_peer(lambda _: Answer(status=409, body=body)) as peer:
        outcomes = web.send(items, peer.destination)
    assert [(one.stored, one.status) for one in outcomes] == [(False, 0xC122)] * 2
    assert "0xC122" in outcomes[0].message


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(403, "does not let us in"), (404, "no DICOMweb"), (500, "HTTP 500"), (503, "HTTP 503")],
)
def test_a_service_that_refuses_as_a_whole_is_a_peer_error(
    tmp_path: Path, status: int, sentence: str
) -> None:
    """And it is asked once: the delivery has its own patience."""
    with web_peer(lambda _: Answer(status=status)) as peer:
        with pytest.raises(PeerError, match=sentence):
            web.send(images(tmp_path), peer.destination)
        with pytest.raises(PeerError, match=sentence):
            web.check(peer.destination)
    assert len(peer.requests) == 2


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"7", b"null"])
def test_a_page_is_no_dicomweb_service(body: bytes) -> None:
    with (
        web_peer(lambda _: Answer(body=body)) as peer,
        pytest.raises(PeerError, match="not as a DICOMweb service"),
    ):
        web.check(peer.destination)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_neither_login_nor_images_follow_a_redirect(tmp_path: Path, status: int) -> None:
    with web_peer(lambda _: Answer()) as thief:
        location = {"Location": f"{thief.destination.url}/studies"}
        with web_peer(lambda _: Answer(status=status, headers=location)) as peer:
            trusting = replace(peer.destination, token=SecretStr(SECRET))
            with pytest.raises(PeerError, match="another address"):
                web.send(images(tmp_path), trusting)
            with pytest.raises(PeerError, match="another address"):
                web.check(trusting)
    assert thief.requests == []


def test_the_token_goes_to_the_peer_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A ~/.netrc does not replace it, and no log shows it."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    caplog.set_level(logging.DEBUG)
    with web_peer(lambda _: Answer(body=b"[]")) as peer:
        web.check(replace(peer.destination, token_file=file))
        file.write_text("renewed")
        web.check(replace(peer.destination, token_file=file))
        web.send(images(tmp_path / "out"), replace(peer.destination, token=SecretStr(SECRET)))
    shown = [request.headers.get("Authorization") for request in peer.requests]
    assert shown == [f"Bearer {SECRET}", "Bearer renewed", f"Bearer {SECRET}"]
    assert SECRET not in caplog.text


@pytest.mark.parametrize("token", ["two\nlines", "naïve", ""])
def test_a_token_that_is_no_token_is_not_sent(tmp_path: Path, token: str) -> None:
    file = tmp_path / "token"
    file.write_text(token, encoding="utf-8")
    with web_peer(lambda _: Answer(body=b"[]")) as peer:
        with pytest.raises(PeerError, match="not one line of ASCII") as caught:
            web.check(replace(peer.destination, token_file=file))
        assert not token or token not in str(caught.value)
    assert peer.requests == []


def test_host_and_query_are_what_a_proxy_expects() -> None:
    with web_peer(lambda _: Answer(body=b"[]")) as peer:
        assert web.check(peer.destination) == 0
    (asked,) = peer.requests
    assert asked.path == "/dicom-web/studies?limit=1"
    assert asked.headers["Host"] == f"127.0.0.1:{peer.port}"


def test_the_files_are_the_parts_of_the_request(tmp_path: Path) -> None:
    items = images(tmp_path)
    with web_peer(lambda _: Answer(body=naming(items))) as peer:
        web.send(items, peer.destination)
    (request,) = peer.requests
    kind, _, boundary = request.headers["Content-Type"].partition("; boundary=")
    assert kind == 'multipart/related; type="application/dicom"'
    opening, *parts, end = request.body.split(f"\r\n--{boundary}".encode())
    assert (opening, end) == (b"", b"--\r\n")
    header = b"\r\nContent-Type: application/dicom\r\n\r\n"
    assert parts == [header + item.path.read_bytes() for item in items]
    assert dcmread(items[0].path).SOPInstanceUID == items[0].sop_uid


def test_a_request_stays_below_the_limit_or_holds_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = images(tmp_path, 5)
    size_bytes = items[0].path.stat().st_size
    monkeypatch.setattr(web, "_MAXIMUM_REQUEST_BYTES", int(size_bytes * 2.5))
    items[4].path.write_bytes(items[4].path.read_bytes() * 3)
    with web_peer(lambda _: Answer(body=naming(items))) as peer:
        outcomes = web.send(items, peer.destination)
    counts = [request.body.count(b"Content-Type: application/dicom") for request in peer.requests]
    assert counts == [2, 2, 1]
    assert [one.sop_uid for one in outcomes] == [item.sop_uid for item in items]


def test_what_was_stored_before_the_service_failed_stays_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = images(tmp_path, 3)
    monkeypatch.setattr(web, "_MAXIMUM_REQUEST_BYTES", 1)
    answers = iter([Answer(body=naming(items)), Answer(status=503)])

    def fail_at_the_second(_: Request) -> Answer:
        return next(answers)

    with web_peer(fail_at_the_second) as peer:
        outcomes = web.send(items, peer.destination)
    assert [(one.stored, one.status) for one in outcomes] == [
        (True, 200),
        (False, None),
        (False, None),
    ]
    assert "HTTP 503" in outcomes[2].message

"""Listener and sender against DCMTK, a DICOM implementation that is not ours."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from pydicom import uid

import builders
from agent.dicom import sender
from agent.dicom.peer import Destination
from agent.errors import PeerError
from reception import HOST, ReceivingNode, encoded, receiving_node, saved

TOOLS = ("storescu", "storescp", "echoscu", "dcmsend")
# Without it DCMTK waits 40 ms for an acknowledgement here and there (Nagle's algorithm).
ENVIRONMENT = os.environ | {"TCP_NODELAY": "1"}

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        any(shutil.which(tool) is None for tool in TOOLS),
        reason="needs DCMTK (Debian and Ubuntu: package dcmtk)",
    ),
]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceivingNode]:
    with receiving_node(tmp_path_factory.mktemp("node")) as running:
        yield running


def run(tool: str, node: ReceivingNode, *arguments: str | Path) -> str:
    """The tool's output; it must end well."""
    options = ["-aec", "NODE", "-aet", "DCMTK", *arguments[:-1]]
    command = [tool, *options, HOST, str(node.listener.port), arguments[-1]]
    done = subprocess.run(
        [str(word) for word in command if str(word)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def images(folder: Path, name: str, count: int = 3) -> tuple[str, Sequence[Path]]:
    """Study UID and files of a series of its own."""
    series = builders.flair_series(slices=count, study=name)
    return str(series[0].StudyInstanceUID), [item.path for item in saved(series, folder)]


def test_echoscu_gets_an_answer(node: ReceivingNode) -> None:
    assert "Received Echo Response (Success)" in run("echoscu", node, "-v", "")


def test_storescu_stores_a_folder(node: ReceivingNode, tmp_path: Path) -> None:
    study_uid, files = images(tmp_path, "storescu")
    output = run("storescu", node, "-v", "+sd", tmp_path)
    assert output.count("Received Store Response (Success)") == 3
    assert len(node.files(study_uid)) == len(node.instances(study_uid)) == len(files)


def test_dcmsend_stores_a_folder(node: ReceivingNode, tmp_path: Path) -> None:
    study_uid, files = images(tmp_path, "dcmsend")
    run("dcmsend", node, "-v", "+sd", tmp_path)
    assert len(node.files(study_uid)) == len(node.instances(study_uid)) == len(files)
    assert {row.source_ae for row in node.instances(study_uid)} == {"DCMTK"}


@pytest.mark.parametrize(
    ("option", "syntax"),
    [
        ("-xi", uid.ImplicitVRLittleEndian),
        ("-xe", uid.ExplicitVRLittleEndian),
        ("-xb", uid.ExplicitVRLittleEndian),  # proposes all three, and this is what we prefer
        ("-xd", uid.DeflatedExplicitVRLittleEndian),
        ("-xr", uid.RLELossless),
        ("-xt", uid.JPEGLSLossless),
        ("-xv", uid.JPEG2000Lossless),
    ],
)
def test_storescu_chooses_the_transfer_syntax(
    node: ReceivingNode, tmp_path: Path, option: str, syntax: uid.UID
) -> None:
    image = builders.flair_series(slices=1, study=option)[0]
    pixels = image.pixel_array.copy()
    if syntax.is_encapsulated:
        image.compress(syntax, generate_instance_uid=False)
    saved([image], tmp_path)
    run("storescu", node, option, "+sd", tmp_path)
    (file,) = node.files(image.StudyInstanceUID)
    kept = pydicom.dcmread(file)
    assert kept.file_meta.TransferSyntaxUID == syntax
    assert (kept.pixel_array == pixels).all()


def test_jpeg_lossless_made_by_dcmtk_is_read(node: ReceivingNode, tmp_path: Path) -> None:
    image = builders.flair_series(slices=1, study="dcmcjpeg")[0]
    (item,) = saved([image], tmp_path / "plain")
    packed = tmp_path / "packed.dcm"
    subprocess.run(["dcmcjpeg", "+e1", "+un", item.path, packed], check=True, timeout=60)
    run("storescu", node, "-xs", packed)
    (file,) = node.files(image.StudyInstanceUID)
    kept = pydicom.dcmread(file)
    assert kept.file_meta.TransferSyntaxUID == uid.JPEGLosslessSV1
    assert (kept.pixel_array == image.pixel_array).all()


def test_a_class_that_is_not_ours_is_refused_by_negotiation(
    node: ReceivingNode, tmp_path: Path
) -> None:
    image = builders.flair_series(slices=1, study="sc")[0]
    image.SOPClassUID = uid.SecondaryCaptureImageStorage
    saved([image], tmp_path)
    command = ["storescu", "-v", HOST, str(node.listener.port), "+sd", str(tmp_path)]
    done = subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert "No presentation context for" in done.stdout + done.stderr
    assert node.files(image.StudyInstanceUID) == []


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[Destination]:
    """DCMTK's storage SCP, which writes what it gets byte for byte."""
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = int(probe.getsockname()[1])
    command = ["storescp", "-od", str(folder), "-aet", "STORESCP", *options, str(port)]
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    destination = Destination(name="dcmtk", ae_title="STORESCP", host=HOST, port=port)
    try:
        wait_until_it_answers(destination)
        yield destination
    finally:
        process.terminate()
        process.wait(10)


def wait_until_it_answers(destination: Destination) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            return sender.echo(destination, calling_ae="NODE")
        except PeerError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_storescp_gets_files_byte_for_byte(tmp_path: Path) -> None:
    series = builders.flair_series(slices=3)
    with storescp(tmp_path / "scp", "+B", "+xa") as destination:
        outcomes = sender.send(saved(series, tmp_path / "out"), destination, calling_ae="NODE")
    assert [outcome.status for outcome in outcomes] == [0, 0, 0]
    received = [file.read_bytes() for file in (tmp_path / "scp").iterdir()]
    assert len(received) == 3
    for image in series:
        assert any(content.endswith(encoded(image)) for content in received)


def test_storescp_gets_every_syntax_that_it_takes(tmp_path: Path) -> None:
    series = builders.flair_series(slices=4)
    for image, syntax in zip(
        series[1:], [uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless], strict=True
    ):
        image.compress(syntax, generate_instance_uid=False)
    with storescp(tmp_path / "scp", "+B", "+xa") as destination:
        outcomes = sender.send(saved(series, tmp_path / "out"), destination, calling_ae="NODE")
    assert all(outcome.stored for outcome in outcomes), outcomes
    kept = {
        str(pydicom.dcmread(file).file_meta.TransferSyntaxUID)
        for file in (tmp_path / "scp").iterdir()
    }
    assert kept == {str(image.file_meta.TransferSyntaxUID) for image in series}


def test_a_storescp_that_is_gone_is_a_peer_error(tmp_path: Path) -> None:
    with storescp(tmp_path / "scp") as destination:
        pass
    with pytest.raises(PeerError, match="cannot be reached"):
        sender.send(
            saved(builders.flair_series(slices=1), tmp_path / "out"), destination, calling_ae="NODE"
        )

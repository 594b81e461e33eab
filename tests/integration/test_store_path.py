"""C-STORE requests as bytes: however they are cut up and whatever comes between them."""

import struct
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.pdu import P_DATA_TF

import builders
import strangers
from reception import ReceivingNode, association_to, encoded, receiving_node, store_dataset
from running import wait_until
from storage.files import FileStore
from strangers import COMMAND, DATA, ECHO_CONTEXT, LAST, STORE_CONTEXT

SUCCESS = 0x0000


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceivingNode]:
    with receiving_node(tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture
def image(request: pytest.FixtureRequest) -> Dataset:
    return builders.flair_series(slices=1, rows=16, columns=16, study=request.node.name)[0]


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def command(image: Dataset, *, changed: dict[int, bytes] | None = None) -> bytes:
    """The command set of a C-STORE request; an empty value takes the element away."""
    values = {
        0x0002: _uid(image.SOPClassUID),
        0x0100: b"\x01\x00",
        0x0110: b"\x09\x00",
        0x0700: b"\x00\x00",
        0x0800: b"\x01\x00",
        0x1000: _uid(image.SOPInstanceUID),
    } | (changed or {})
    content = b"".join(element(number, value) for number, value in sorted(values.items()) if value)
    return element(0, struct.pack("<I", len(content))) + content


def _uid(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


def cut(content: bytes, kind: int, size: int) -> list[tuple[int, bytes]]:
    """Fragments of that size, each with its message control header."""
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    controls = [kind] * (len(pieces) - 1) + [kind | LAST]
    return list(zip(controls, pieces, strict=True))


def pdu(fragments: Sequence[tuple[int, bytes]]) -> bytes:
    """One P-DATA-TF with all of these."""
    values = b"".join(
        struct.pack(">IBB", len(piece) + 2, STORE_CONTEXT, control) + piece
        for control, piece in fragments
    )
    return struct.pack(">BBI", 4, 0, len(values)) + values


def message(image: Dataset, *, command_size: int, data_size: int, per_pdu: int) -> list[bytes]:
    """A whole C-STORE request, so many fragments to a PDU."""
    fragments = cut(command(image), COMMAND, command_size) + cut(encoded(image), DATA, data_size)
    return [pdu(fragments[at : at + per_pdu]) for at in range(0, len(fragments), per_pdu)]


def status_of(answer: bytes) -> tuple[str, int]:
    """The kind of a response and its status, as pynetdicom understands it."""
    received, response = P_DATA_TF(), DIMSEMessage()
    received.decode(answer)
    assert response.decode_msg(received.to_primitive())
    return type(response).__name__, int(response.command_set.Status)


WHOLE = 1 << 20
CUTS = {
    "command and data in one PDU": (WHOLE, WHOLE, 2),
    "a PDU each": (WHOLE, WHOLE, 1),
    "many fragments in a PDU": (20, 100, 50),
    "tiny PDUs": (3, 7, 1),
    "fragments over the border of command and data": (50, 300, 3),
    "single bytes of the command": (1, WHOLE, 1),
}


@pytest.mark.parametrize(("command_size", "data_size", "per_pdu"), CUTS.values(), ids=CUTS)
def test_an_image_arrives_however_it_is_cut_up(
    node: ReceivingNode, image: Dataset, command_size: int, data_size: int, per_pdu: int
) -> None:
    sent = message(image, command_size=command_size, data_size=data_size, per_pdu=per_pdu)
    with strangers.raw_association(node.listener.port) as peer:
        peer.sendall(b"".join(sent))
        assert status_of(strangers.read_pdu(peer)) == ("C_STORE_RSP", SUCCESS)
    (file,) = node.files(image.StudyInstanceUID)
    assert file.read_bytes().endswith(encoded(image))


def test_a_message_that_comes_byte_by_byte_is_put_together(
    node: ReceivingNode, image: Dataset
) -> None:
    (sent,) = message(image, command_size=WHOLE, data_size=WHOLE, per_pdu=2)
    with strangers.raw_association(node.listener.port) as peer:
        for at in range(200):
            peer.sendall(sent[at : at + 1])
        peer.sendall(sent[200:])
        assert status_of(strangers.read_pdu(peer)) == ("C_STORE_RSP", SUCCESS)


def test_images_and_echos_take_turns_on_one_association(
    node: ReceivingNode, image: Dataset
) -> None:
    with strangers.raw_association(node.listener.port) as peer:
        for _ in range(3):
            peer.sendall(b"".join(message(image, command_size=60, data_size=500, per_pdu=1)))
            assert status_of(strangers.read_pdu(peer)) == ("C_STORE_RSP", SUCCESS)
            peer.sendall(b"".join(strangers.echo()))
            assert status_of(strangers.read_pdu(peer)) == ("C_ECHO_RSP", SUCCESS)
        peer.sendall(strangers.RELEASE)
        assert strangers.read_pdu(peer)[:1] == b"\x06"


def test_two_images_sent_without_waiting_are_both_answered(node: ReceivingNode) -> None:
    images = builders.flair_series(slices=2, rows=16, columns=16, study="without waiting")
    one, two = (message(each, command_size=WHOLE, data_size=WHOLE, per_pdu=2) for each in images)
    with strangers.raw_association(node.listener.port) as peer:
        peer.sendall(one[0] + two[0] + strangers.RELEASE)
        assert [status_of(strangers.read_pdu(peer))[1] for _ in images] == [SUCCESS] * 2
        assert strangers.read_pdu(peer)[:1] == b"\x06"
    assert len(node.instances(images[0].StudyInstanceUID)) == 2


def test_a_response_is_cut_up_for_a_peer_that_takes_little(
    node: ReceivingNode, image: Dataset
) -> None:
    size = (16384).to_bytes(4, "big")
    asked = strangers.association_request()
    assert asked.count(size) == 1
    with strangers.connection(node.listener.port) as peer:
        peer.sendall(asked.replace(size, (40).to_bytes(4, "big")))
        assert strangers.read_pdu(peer)[:1] == b"\x02"
        peer.sendall(b"".join(message(image, command_size=WHOLE, data_size=WHOLE, per_pdu=1)))
        received = strangers.read_pdu(peer)
        assert len(received) <= 6 + 40
        assert received[11] == COMMAND  # and not the last fragment


ODD_REQUESTS = {
    "a Move Originator": ({0x1030: b"MOVER ", 0x1031: b"\x05\x00"}, SUCCESS),
    "a class that was not negotiated": ({0x0002: _uid("1.2.840.10008.5.1.4.1.1.2")}, 0x0122),
    "a UID that is not the image's": ({0x1000: b"1.2.3.4\0"}, 0xA900),
}


@pytest.mark.parametrize(("changed", "status"), ODD_REQUESTS.values(), ids=ODD_REQUESTS)
def test_an_unusual_request_is_answered(
    node: ReceivingNode, image: Dataset, changed: dict[int, bytes], status: int
) -> None:
    with strangers.raw_association(node.listener.port) as peer:
        peer.sendall(pdu([(COMMAND | LAST, command(image, changed=changed))]))
        peer.sendall(pdu([(DATA | LAST, encoded(image))]))
        assert status_of(strangers.read_pdu(peer)) == ("C_STORE_RSP", status)


def test_a_request_without_data_set_takes_nothing_and_the_association_goes_on(
    node: ReceivingNode, image: Dataset
) -> None:
    without = command(image, changed={0x0800: b"\x01\x01"})
    with strangers.raw_association(node.listener.port) as peer:
        peer.sendall(pdu([(COMMAND | LAST, without)]) + b"".join(strangers.echo()))
        kinds = {status_of(strangers.read_pdu(peer))}
        if "C_ECHO_RSP" not in {kind for kind, _ in kinds}:
            kinds.add(status_of(strangers.read_pdu(peer)))
    assert ("C_ECHO_RSP", SUCCESS) in kinds
    assert ("C_STORE_RSP", SUCCESS) not in kinds
    assert node.files(image.StudyInstanceUID) == []


def after_a_command(image: Dataset) -> dict[str, bytes]:
    """What ends the association when it comes in the middle of a message."""
    again = pdu([(COMMAND | LAST, command(image))])
    return {
        "another command": again,
        "a fragment longer than its PDU": again[:9] + b"\xff" + again[10:],
        "an unknown PDU": b"\x09" + again[1:],
        "a release": strangers.RELEASE,
        "an abort": strangers.ABORT,
    }


@pytest.mark.parametrize("name", after_a_command(builders.flair_series(slices=1)[0]))
def test_what_comes_in_the_middle_of_a_message_keeps_nothing(
    node: ReceivingNode, image: Dataset, name: str
) -> None:
    begun = cut(command(image), COMMAND, WHOLE) + cut(encoded(image), DATA, 100)[:3]
    with strangers.raw_association(node.listener.port) as peer:
        peer.sendall(pdu(begun) + after_a_command(image)[name])
        answered = strangers.read_to_end(peer) if name != "a release" else strangers.read_pdu(peer)
    assert answered[:1] == {"a release": b"\x06", "an abort": b""}.get(name, b"\x07")
    wait_until(lambda: not node.listener.open_studies(), timeout_seconds=10, what="the end")
    assert node.files(image.StudyInstanceUID) == []


def test_an_unknown_command_ends_the_association(node: ReceivingNode, image: Dataset) -> None:
    with strangers.raw_association(node.listener.port) as peer:
        peer.sendall(pdu([(COMMAND | LAST, command(image, changed={0x0100: b"\x77\x07"}))]))
        assert strangers.read_pdu(peer)[:1] == b"\x07"


def test_a_context_that_was_not_accepted_ends_the_association(
    node: ReceivingNode, image: Dataset
) -> None:
    (sent,) = message(image, command_size=WHOLE, data_size=WHOLE, per_pdu=2)
    with strangers.raw_association(node.listener.port) as peer:
        peer.sendall(sent.replace(bytes([STORE_CONTEXT, COMMAND | LAST]), b"\x63\x03", 1))
        assert strangers.read_pdu(peer)[:1] == b"\x07"
    assert node.files(image.StudyInstanceUID) == []


def test_an_image_under_the_context_of_echos_is_refused(
    node: ReceivingNode, image: Dataset
) -> None:
    (sent,) = message(image, command_size=WHOLE, data_size=WHOLE, per_pdu=2)
    context = bytes([ECHO_CONTEXT, COMMAND | LAST])
    with strangers.raw_association(node.listener.port) as peer:
        peer.sendall(sent.replace(bytes([STORE_CONTEXT, COMMAND | LAST]), context, 1))
        answer = strangers.read_pdu(peer)
        assert answer[:1] == b"\x07" or status_of(answer)[1] != SUCCESS


class SlowStore:
    """A file store on a disk that takes its time."""

    def __init__(self, store: FileStore) -> None:
        self._store = store
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def keep_image(
        self, study_uid: str, content_sha256: str, parts: Sequence[bytes | memoryview]
    ) -> tuple[str, bool]:
        self.asked.set()
        assert self.go_on.wait(20)
        return self._store.keep_image(study_uid, content_sha256, parts)


@contextmanager
def slow_node(
    folder: Path, *, idle_seconds: float = 20.0
) -> Iterator[tuple[ReceivingNode, SlowStore]]:
    made: list[SlowStore] = []

    def slow(store: FileStore) -> SlowStore:
        made.append(SlowStore(store))
        return made[0]

    with receiving_node(folder, store_for_images=slow, idle_seconds=idle_seconds) as running:
        yield running, made[0]


def test_a_slow_disk_is_not_taken_for_a_silent_peer(tmp_path: Path, image: Dataset) -> None:
    with (
        slow_node(tmp_path, idle_seconds=0.5) as (node, disk),
        association_to(node.listener.port) as association,
        ThreadPoolExecutor(1) as pool,
    ):
        answer = pool.submit(store_dataset, association, image)
        assert disk.asked.wait(10)
        time.sleep(1.0)  # twice the time that a peer may be silent
        disk.go_on.set()
        assert answer.result(10) == SUCCESS


def test_a_silent_peer_is_aborted(tmp_path: Path) -> None:
    with (
        receiving_node(tmp_path, idle_seconds=0.5) as node,
        strangers.raw_association(node.listener.port) as peer,
    ):
        assert strangers.read_pdu(peer)[:1] == b"\x07"


def test_an_association_is_open_until_its_last_image_is_kept(
    tmp_path: Path, image: Dataset
) -> None:
    """The peer has broken off, and what it sent is still on its way to the disk."""
    (sent,) = message(image, command_size=WHOLE, data_size=WHOLE, per_pdu=2)
    with slow_node(tmp_path) as (node, disk):
        with strangers.raw_association(node.listener.port) as peer:
            peer.sendall(sent)
            assert disk.asked.wait(10)
        time.sleep(0.5)
        assert node.listener.open_studies() == {image.StudyInstanceUID}
        disk.go_on.set()
        wait_until(lambda: not node.listener.open_studies(), timeout_seconds=10, what="the end")
        assert len(node.instances(image.StudyInstanceUID)) == 1


def test_stopping_waits_for_an_image_that_is_being_kept(tmp_path: Path, image: Dataset) -> None:
    (sent,) = message(image, command_size=WHOLE, data_size=WHOLE, per_pdu=2)
    with (
        slow_node(tmp_path) as (node, disk),
        strangers.raw_association(node.listener.port) as peer,
        ThreadPoolExecutor(1) as pool,
    ):
        peer.sendall(sent)
        assert disk.asked.wait(10)
        stopped = pool.submit(node.listener.stop, grace_seconds=0.0)
        time.sleep(0.3)
        assert not stopped.done()
        disk.go_on.set()
        stopped.result(10)
        assert len(node.instances(image.StudyInstanceUID)) == 1
        assert strangers.read_to_end(peer)[:1] == b"\x07"

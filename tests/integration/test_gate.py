"""Connections that are no senders, and senders that go too far, at a real listener's port."""

import logging
import random
import select
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import builders
import strangers
from agent.dicom import sender
from agent.dicom.admission import Quota
from agent.dicom.message_limits import MAXIMUM_FRAGMENTS
from agent.dicom.pdus import MAXIMUM_REQUEST_BYTES
from agent.dicom.wire import MAXIMUM_PDU_BYTES
from reception import HOST, ReceivingNode, association_to, receiving_node, store_dataset
from running import wait_until
from strangers import COMMAND, DATA, LAST, STORE_CONTEXT

MIB = 1024 * 1024
INVALID_PARAMETER = bytes.fromhex("07 00 00000004 0000 02 06")  # A-ABORT by the provider
LOCAL_LIMIT = bytes.fromhex("03 00 00000004 00 02 03 02")  # A-ASSOCIATE-RJ, transient
QUOTA = Quota(associations=4, associations_per_peer=3, object_bytes=2 * MIB, request_seconds=1.0)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceivingNode]:
    """A node of little patience."""
    folder = tmp_path_factory.mktemp("node")
    with receiving_node(folder, quota=QUOTA, idle_seconds=2.0) as running:
        yield running


def still_serves(node: ReceivingNode) -> bool:
    sender.echo(node.destination, calling_ae="MODALITY")
    return True


def test_a_sender_is_served_at_once_beside_500_silent_sockets(node: ReceivingNode) -> None:
    for addresses in ([HOST], [f"127.0.0.{number}" for number in range(2, 52)]):
        with strangers.silent_crowd(node.listener.port, 500, addresses):
            started = time.monotonic()
            assert still_serves(node)
            assert time.monotonic() - started < 1.0


def test_silent_sockets_are_closed_and_cost_no_thread(node: ReceivingNode) -> None:
    before = threading.active_count()
    with strangers.silent_crowd(node.listener.port, 20, [HOST]) as crowd:
        assert threading.active_count() <= before + 1
        started = time.monotonic()
        assert [strangers.read_to_end(one) for one in crowd] == [b""] * 20
        assert time.monotonic() - started < QUOTA.request_seconds + 1.0


def test_a_request_that_drips_is_cut_off(node: ReceivingNode) -> None:
    with strangers.connection(node.listener.port) as opened:
        started = time.monotonic()
        drops = [bytes([byte]) for byte in strangers.association_request()]
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):
            strangers.send_all(opened, drops, pause_seconds=0.05)
        assert time.monotonic() - started < QUOTA.request_seconds + 2.0


def test_a_request_in_pieces_is_served(node: ReceivingNode) -> None:
    with strangers.connection(node.listener.port) as opened:
        for byte in strangers.association_request():
            opened.sendall(bytes([byte]))
        assert strangers.read_pdu(opened)[:1] == b"\x02"
        opened.sendall(strangers.ABORT)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"GET / HTTP/1.1\r\nHost: node\r\n\r\n", "HTTP"),
        (bytes.fromhex("1603010200010001fc0303"), "TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (random.Random(0).randbytes(64).replace(b"\x01", b"\x02"), "something"),
        (strangers.RELEASE, "something"),
        (struct.pack(">BBL", 1, 0, 0xFFFFFFFF) + bytes(4096), "would have 4294967295 bytes"),
        (struct.pack(">BBL", 1, 0, MAXIMUM_REQUEST_BYTES + 1), f"{MAXIMUM_REQUEST_BYTES + 1}"),
        (struct.pack(">BBL", 1, 0, 4) + bytes(4), "cannot be decoded"),
        (b"", "closed without an association request"),
    ],
)
def test_what_is_no_request_is_closed_with_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sent: bytes, said: str
) -> None:
    with receiving_node(tmp_path) as running, caplog.at_level(logging.INFO):
        for _ in range(3):
            with strangers.connection(running.listener.port, seconds=1.0) as opened:
                opened.sendall(sent)
                if sent:
                    assert strangers.read_to_end(opened) == b""
        assert still_serves(running)
    lines = [one for one in caplog.records if one.name.startswith("agent.dicom.")]
    (line,) = [one for one in lines if getattr(one, "action", "") == "connection_closed"]
    assert said in line.getMessage()
    assert line.levelno == logging.INFO


def test_the_next_line_on_an_address_says_how_many_were_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from agent.dicom.notices import Notices

    notices = Notices(logging.getLogger("test"), interval_seconds=0.2)
    with caplog.at_level(logging.INFO, logger="test"):
        for _ in range(5):
            notices.tell(logging.INFO, HOST, "Somebody came.", action="came")
        notices.tell(logging.INFO, "127.0.0.2", "Somebody came.", action="came")
        time.sleep(0.3)
        notices.tell(logging.INFO, HOST, "Somebody came.", action="came")
    assert [one.getMessage() for one in caplog.records] == [
        "Somebody came.",
        "Somebody came.",
        "Somebody came. (4 more like it were not logged.)",
    ]


def test_one_address_and_all_together_have_a_limit(node: ReceivingNode) -> None:
    assert still_serves_soon(node)
    with ExitStack() as stack:
        for number in range(3):
            stack.enter_context(
                strangers.raw_association(node.listener.port, title=f"SENDER{number}")
            )
        with strangers.connection(node.listener.port) as fourth:
            fourth.sendall(strangers.association_request("FOURTH"))
            assert strangers.read_pdu(fourth) == LOCAL_LIMIT
    assert still_serves_soon(node)


def test_one_title_has_a_limit_over_addresses(node: ReceivingNode) -> None:
    assert still_serves_soon(node)
    with ExitStack() as stack:
        answers = []
        for number in range(5):
            opened = stack.enter_context(
                strangers.connection(node.listener.port, address=f"127.0.0.{number + 10}")
            )
            opened.sendall(strangers.association_request("ONE"))
            answers.append(strangers.read_pdu(opened)[0])
        assert answers == [2, 2, 2, 3, 3]
    assert still_serves_soon(node)


def test_as_many_as_may_come_at_once_are_all_let_in(node: ReceivingNode) -> None:
    assert still_serves_soon(node)
    with ExitStack() as stack:
        crowd = [
            stack.enter_context(
                strangers.connection(node.listener.port, address=f"127.0.0.{number + 10}")
            )
            for number in range(12)
        ]
        for number, one in enumerate(crowd):
            one.sendall(strangers.association_request(f"SENDER{number}"))
        answers = [strangers.read_pdu(one)[0] for one in crowd]
    assert sorted(answers) == [2] * QUOTA.associations + [3] * 8


def still_serves_soon(node: ReceivingNode) -> bool:
    """Once associations that were cut off have ended; then all places are free."""

    def is_empty() -> bool:
        return not any("AcceptorThread" in one.name for one in threading.enumerate())

    wait_until(is_empty, timeout_seconds=10, what="associations to end")
    still_serves(node)
    wait_until(is_empty, timeout_seconds=10, what="the association of the C-ECHO to end")
    return True


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (struct.pack(">BBL", 4, 0, 0xFFFFFFFF), "would have 4294967295 bytes"),
        (struct.pack(">BBL", 4, 0, MAXIMUM_PDU_BYTES + 100), "would have"),
        (struct.pack(">BBL", 7, 0, MIB), "would have"),
        (struct.pack(">BBLL", 4, 0, 4, 100), "do not fit"),
        (struct.pack(">BBLLBB", 4, 0, 6, 1, 1, 0), "do not fit"),
        (
            struct.pack(">BBL", 4, 0, 6 * (MAXIMUM_FRAGMENTS + 1))
            + struct.pack(">LBB", 2, 1, 1) * (MAXIMUM_FRAGMENTS + 1),
            "do not fit",
        ),
        (strangers.p_data(1, COMMAND, bytes(70000)), "command set was too long"),
        (strangers.p_data(1, COMMAND | LAST, b"no command"), "A message was none"),
    ],
)
def test_what_no_sender_sends_is_answered_with_an_abort(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sent: bytes, why: str
) -> None:
    with receiving_node(tmp_path, idle_seconds=2.0) as running:
        with strangers.raw_association(running.listener.port) as opened:
            opened.sendall(sent)
            assert strangers.read_pdu(opened) == INVALID_PARAMETER
        assert still_serves(running)
    (line,) = [one for one in caplog.records if "aborted" in one.getMessage()]
    assert why in line.getMessage()


def test_an_object_that_is_too_large_is_cut_off_and_its_memory_is_free(
    node: ReceivingNode, caplog: pytest.LogCaptureFixture
) -> None:
    image = builders.flair_series(slices=1)[0]
    command = strangers.store(image)[0]
    assert still_serves_soon(node)
    with strangers.raw_association(node.listener.port) as opened:
        opened.sendall(command)
        for _ in range(4):
            opened.sendall(strangers.p_data(STORE_CONTEXT, DATA, bytes(MIB // 2)))
        opened.sendall(strangers.p_data(STORE_CONTEXT, DATA | LAST, bytes(1024)))
        assert strangers.read_pdu(opened) == INVALID_PARAMETER
    assert still_serves_soon(node)
    with association_to(node.listener.port) as association:
        assert store_dataset(association, image) == 0x0000


def test_objects_under_way_have_a_limit_together_and_it_is_free_afterwards(
    node: ReceivingNode,
) -> None:
    image = builders.flair_series(slices=1)[0]
    command = strangers.store(image)[0]
    half = strangers.p_data(STORE_CONTEXT, DATA, bytes(MIB // 2))
    for _ in range(3):
        assert still_serves_soon(node)
        with ExitStack() as stack:
            ports = [node.listener.port] * 3
            three = [stack.enter_context(strangers.raw_association(port)) for port in ports]
            for one in three:  # each wants one and a half of the four MiB that two objects may have
                one.sendall(command + 3 * half)
            answered, _, _ = select.select(three, [], [], 10)
            assert strangers.read_pdu(answered[0]) == bytes.fromhex("07 00 00000004 0000 02 00")


def test_a_message_that_drips_does_not_hold_its_place(node: ReceivingNode) -> None:
    assert still_serves_soon(node)
    with strangers.raw_association(node.listener.port) as opened:
        started = time.monotonic()
        opened.settimeout(0.3)
        answer = b""
        while not answer and time.monotonic() - started < 10:
            opened.sendall(strangers.p_data(1, COMMAND, b"\0"))  # each in time, and one byte
            try:
                answer = opened.recv(10)
            except TimeoutError:
                continue
        assert answer[:1] == b"\x07"
        assert time.monotonic() - started < 5.0


def test_a_pdu_that_stops_in_the_middle_does_not_hold_its_place(node: ReceivingNode) -> None:
    assert still_serves_soon(node)
    with strangers.raw_association(node.listener.port) as opened:
        opened.sendall(strangers.p_data(1, COMMAND, bytes(1000))[:500])
        started = time.monotonic()
        assert strangers.read_pdu(opened)[:1] == b"\x07"
        assert time.monotonic() - started < 5.0


def test_requests_that_do_not_wait_for_answers_pile_up_with_the_sender(tmp_path: Path) -> None:
    """Every request is answered, and no more than a few are taken into memory ahead of it."""
    with (
        receiving_node(tmp_path) as running,
        strangers.raw_association(running.listener.port) as opened,
    ):
        opened.sendall(b"".join(strangers.echo()) * 50)
        assert [strangers.read_pdu(opened)[0] for _ in range(50)] == [4] * 50
        opened.sendall(strangers.RELEASE)
        assert strangers.read_pdu(opened)[:1] == b"\x06"


def test_stopping_closes_what_waits(tmp_path: Path) -> None:
    with receiving_node(tmp_path) as running:
        with strangers.connection(running.listener.port) as opened:
            running.listener.stop(grace_seconds=0.5)
            assert strangers.read_to_end(opened) == b""
        with pytest.raises(ConnectionRefusedError), strangers.connection(running.listener.port):
            pass

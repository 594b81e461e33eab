"""Spoilt PDUs against a node in this process; `tests/benchmarks/fuzz_pdus.py` sends many more."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import pdu_fuzz
from agent.dicom import sender
from agent.dicom.admission import Quota
from pdu_fuzz import KEPT, Case
from reception import ReceivingNode, receiving_node
from running import wait_until

CASES = 200


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceivingNode]:
    quota = Quota(associations=50, associations_per_peer=50)
    with receiving_node(tmp_path_factory.mktemp("node"), quota=quota) as running:
        yield running


def check(node: ReceivingNode, caplog: pytest.LogCaptureFixture) -> None:
    """The node serves, and nothing of its own broke."""
    sender.echo(node.destination, calling_ae="MODALITY")
    ours = [one for one in caplog.records if one.name.startswith("agent.")]
    assert [one.getMessage() for one in ours if one.exc_info] == []


# pydicom warns of values that are none; the node ignores that (agent/logs.py).
@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
def test_spoilt_pdus_neither_stop_nor_fill_the_node(
    node: ReceivingNode, caplog: pytest.LogCaptureFixture
) -> None:
    real = pdu_fuzz.corpus()
    threads = threading.active_count()
    with caplog.at_level(logging.INFO, logger="agent"):
        for number in range(CASES):
            pdu_fuzz.send(node.listener.port, pdu_fuzz.case(real, f"test-{number}"))
    check(node, caplog)
    wait_until(
        lambda: threading.active_count() <= threads + 1,
        timeout_seconds=20,
        what="the threads of aborted associations to end",
    )


@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
@pytest.mark.parametrize("file", sorted(KEPT.glob("*.bin")), ids=lambda file: file.stem)
def test_what_once_broke_something_does_so_no_more(
    node: ReceivingNode, caplog: pytest.LogCaptureFixture, file: Path
) -> None:
    """Each file is what came over one connection, a request first; see the README beside them."""
    stream = file.read_bytes()
    end = 6 + int.from_bytes(stream[2:6], "big")
    for waits in (True, False):
        case = Case(pdus=(stream[:end], stream[end:]))
        pdu_fuzz.send(node.listener.port, case, waits=waits)
    check(node, caplog)

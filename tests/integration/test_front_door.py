"""Strangers at the listener's port, over real associations."""

import logging
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import builders
from agent import entrances, settings
from agent.dicom.front_door import FrontDoor, Sender
from reception import HOST, ReceivingNode, association_to, receiving_node, store_dataset
from running import wait_until


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceivingNode]:
    """A node that takes this machine for any other, and knows one peer on it."""
    door = FrontDoor([Sender(ae_title="PACS", host=HOST)], this_machine=False)
    with receiving_node(tmp_path_factory.mktemp("node"), door=door) as running:
        yield running


def test_a_peer_that_is_named_may_send(node: ReceivingNode) -> None:
    image = builders.flair_series(slices=1)[0]
    with association_to(node.listener.port, title="PACS") as association:
        assert store_dataset(association, image) == 0x0000


def test_a_stranger_is_rejected_and_named_in_the_log(
    node: ReceivingNode, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING),
        association_to(node.listener.port, title="STRANGER") as association,
    ):
        assert association.is_rejected
        answer = association.acceptor.primitive
        assert answer is not None
        said = (answer.result, answer.result_source, answer.diagnostic)
        assert said == (0x01, 0x01, 0x03)  # PS3.8 table 9-21
    assert "'STRANGER' from 127.0.0.1" in caplog.text
    assert "[[peers]]" in caplog.text


def test_many_strangers_leave_nothing_behind_and_no_peer_outside(node: ReceivingNode) -> None:
    before = threading.active_count()
    for _ in range(40):  # twice as many as there may be associations
        with association_to(node.listener.port, title="STRANGER") as association:
            assert not association.is_established
    with association_to(node.listener.port, title="PACS") as association:
        assert association.is_established
    wait_until(
        lambda: threading.active_count() <= before,
        timeout_seconds=20,
        what="the threads of rejected associations to end",
    )


def test_a_door_that_fails_stays_shut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str | None:
        raise RuntimeError

    monkeypatch.setattr(FrontDoor, "refusal", fail)
    with (
        receiving_node(tmp_path) as running,
        association_to(running.listener.port) as association,
    ):
        assert not association.is_established


@pytest.mark.peer
def test_dcmtk_is_told_why(node: ReceivingNode) -> None:
    echoscu = shutil.which("echoscu")
    if echoscu is None:
        pytest.skip("DCMTK's echoscu is not installed (Debian package dcmtk)")
    done = subprocess.run(
        [echoscu, "-aet", "STRANGER", "-aec", "NODE", HOST, str(node.listener.port)],
        capture_output=True,
        text=True,
        env=os.environ | {"TCP_NODELAY": "1"},
        timeout=60,
    )
    assert done.returncode != 0
    assert "Calling AE Title Not Recognized" in done.stderr


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("", True),
        ('[node]\naccept = "anyone"', False),
        ('[[peers]]\nae_title = "PACS"\nhost = "10.1.2.0/24"', False),
        ('[[peers]]\nae_title = "PACS"\nhost = "10.9.0.1"', True),
    ],
)
def test_the_configuration_says_who_may_send(tmp_path: Path, said: str, refused: bool) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(said, encoding="utf-8")
    door = entrances.front_door(settings.load(file))
    assert (door.refusal("PACS", "10.1.2.3") is not None) == refused

"""Who may open an association: AE title and address together."""

import socket

import pytest

from agent.dicom import front_door
from agent.dicom.front_door import FrontDoor, Sender

PACS = Sender(ae_title="PACS", host="10.1.2.3")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_may_always_send(address: str) -> None:
    assert FrontDoor().refusal("ANY", address) is None


def test_nobody_else_may_before_peers_are_named() -> None:
    assert "[[peers]]" in str(FrontDoor().refusal("PACS", "10.1.2.3"))


def test_anyone_may_where_that_is_said() -> None:
    assert FrontDoor(anyone=True).refusal("WHOEVER", "203.0.113.9") is None


@pytest.mark.parametrize(
    ("title", "address", "word"),
    [
        ("PACS", "10.1.2.3", None),
        ("PACS  ", "10.1.2.3", None),
        ("PACS", "::ffff:10.1.2.3", None),
        ("PACS", "10.1.2.4", "address"),
        ("pacs", "10.1.2.3", "AE title"),
        ("OTHER", "10.1.2.3", "AE title"),
        ("", "10.1.2.3", "AE title"),
    ],
)
def test_title_and_address_must_both_fit(title: str, address: str, word: str | None) -> None:
    said = FrontDoor([PACS]).refusal(title, address)
    assert said is None if word is None else word in str(said)


def test_the_address_of_one_peer_does_not_let_in_another() -> None:
    door = FrontDoor([PACS, Sender(ae_title="MR1", host="10.1.2.9")])
    assert door.refusal("MR1", "10.1.2.3") is not None
    assert door.refusal("MR1", "10.1.2.9") is None


def test_a_peer_may_be_a_network_or_stand_twice() -> None:
    door = FrontDoor(
        [
            Sender(ae_title="MR", host="10.1.0.0/16"),
            Sender(ae_title="MR", host="fd00::/8"),
        ]
    )
    assert door.refusal("MR", "10.1.200.7") is None
    assert door.refusal("MR", "fd00::17%eth0") is None
    assert door.refusal("MR", "10.2.0.1") is not None


def test_a_peer_may_be_a_name_that_is_asked_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        if len(asked) == 3:
            raise socket.gaierror("no such name")
        return [(0, 0, 0, "", (f"10.1.2.{len(asked)}", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    door = FrontDoor([Sender(ae_title="PACS", host="pacs.example")])
    assert door.refusal("PACS", "10.1.2.1") is None
    assert door.refusal("PACS", "10.1.2.1") is None
    assert asked == ["pacs.example"]
    monkeypatch.setattr(front_door, "NAMES_SECONDS", -1.0)
    assert door.refusal("PACS", "10.1.2.2") is None  # it has moved
    assert door.refusal("PACS", "10.1.2.2") is not None  # its name is gone


def test_a_peer_with_a_certificate_must_show_it() -> None:
    door = FrontDoor([Sender(ae_title="PACS", host="10.1.2.3", certificate="pacs.example")])
    assert "certificate" in str(door.refusal("PACS", "10.1.2.3"))
    assert "certificate" in str(door.refusal("PACS", "10.1.2.3", frozenset({"other.example"})))
    assert door.refusal("PACS", "10.1.2.3", frozenset({"CN", "pacs.example"})) is None

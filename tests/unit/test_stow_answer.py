"""What is read out of the answer to a STOW-RS request, whoever wrote it."""

import json
from pathlib import Path

import pytest

from agent.dicom import stow_answer
from agent.dicom.sender import SendItem
from storage.records import SopUid

FILES = [
    SendItem(path=Path(uid), sop_uid=SopUid(uid), sop_class_uid="", transfer_syntax_uid="")
    for uid in ("1.1", "1.2", "1.3")
]
STORED, FAILED = "00081199", "00081198"


def item(uid: str, **reasons: int) -> dict[str, object]:
    tags = {"warning": "00081196", "failure": "00081197"}
    found: dict[str, object] = {"00081155": {"vr": "UI", "Value": [uid]}}
    return found | {tags[name]: {"vr": "US", "Value": [code]} for name, code in reasons.items()}


def answer(**sequences: list[dict[str, object]]) -> bytes:
    tags = {"stored": STORED, "failed": FAILED}
    named = {tags[name]: {"vr": "SQ", "Value": items} for name, items in sequences.items()}
    return json.dumps(named).encode()


def test_each_object_gets_its_own_outcome() -> None:
    body = answer(
        stored=[item("1.3"), item("1.1", warning=0xB000)], failed=[item("1.2", failure=0xA700)]
    )
    found = stow_answer.outcomes(body, status=202, files=FILES)
    assert [(one.sop_uid, one.stored, one.status) for one in found] == [
        ("1.1", True, 0xB000),
        ("1.2", False, 0xA700),
        ("1.3", True, 202),
    ]
    assert "0xB000" in found[0].message
    assert "0xA700" in found[1].message


def test_what_is_named_as_stored_and_as_failed_is_not_stored() -> None:
    body = answer(stored=[item("1.1")], failed=[item("1.1")])
    (one,) = stow_answer.outcomes(body, status=202, files=FILES[:1])
    assert (one.stored, one.status) == (False, 202)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>gateway</html>",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'{"00081199": null}',
        b'{"00081199": {"vr": "SQ"}}',
        b'{"00081199": {"vr": "SQ", "Value": [7, {"00081155": "1.1"}, {"00081155": {}}]}}',
        answer(stored=[item("9.9")]),
    ],
)
def test_what_no_answer_names_is_not_stored(body: bytes) -> None:
    found = stow_answer.outcomes(body, status=200, files=FILES)
    assert [(one.stored, one.status) for one in found] == [(False, 200)] * 3


def test_an_answer_in_a_list_is_read_too() -> None:
    body = b"[" + answer(stored=[item("1.1")]) + b"]"
    (one,) = stow_answer.outcomes(body, status=200, files=FILES[:1])
    assert one.stored

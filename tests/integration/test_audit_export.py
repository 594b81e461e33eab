"""The audit as DICOM audit messages: by the schema, and without a patient unless asked for."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

import canary
from agent import audit_codes, audit_trail, bootstrap, marking, settings
from agent.cli import app
from analysed_node import NOW, configured, received
from audit_schema import faults
from storage import audit, studies
from storage.enums import Mark

PACS = '[[destinations]]\nname = "pacs"\nae_title = "ARCHIVE"\nhost = "10.1.2.3"\nport = 104\n'
ACTIONS = (
    audit_trail.NODE_STARTED,
    audit_trail.NODE_STOPPED,
    audit_trail.ASSOCIATION_REJECTED,
    audit_trail.SIGNED_IN,
    audit_trail.SIGN_IN_FAILED,
    audit_trail.SIGNED_OUT,
    audit_trail.AUDIT_EXPORTED,
    "user added",
    "model activated",
)
STUDY_ACTIONS = (
    audit_trail.NAMES_SEEN,
    audit_trail.STUDY_CANCELLED,
    audit_trail.STUDY_RETRIED,
    audit_trail.STUDY_REREAD,
    audit_trail.STUDY_REMOVED,
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A node that has noted one of everything."""
    file = configured(tmp_path)
    file.write_text(file.read_text() + PACS)
    values = settings.load(file)
    storage = bootstrap.open_storage(values)
    with closing(storage.database) as database, database.begin() as session:
        images = [
            received(storage.store, item.path)
            for item in canary.study(tmp_path, "exported", images=3)
        ]
        (key,) = studies.record_instances(session, images)
        study = studies.complete(session, key, evidence="test", now=NOW)
        audit_trail.received(session, study)
        for stored in (3, 2):
            audit_trail.sent(
                session, key, by="NEUROSIEVE", destination="pacs", stored=stored, tried=3
            )
        marking.mark(
            session, study, Mark.NORMAL, note=f"saw {canary.NAME}", by="ada", now=datetime.now(UTC)
        )
        for action in ACTIONS:
            note(session, "ada\x07", action, "10.9.9.9")
        for action in STUDY_ACTIONS:
            note(session, "ada", action, key)
    return file


def note(session: object, who: str, action: str, subject: str) -> None:
    audit.append(session, who=who, action=action, subject=subject, now=NOW)  # type: ignore[arg-type]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def exported(config: Path, *options: str) -> bytes:
    out = config.parent / "audit.out"
    done = run("export", "--out", out, "-c", config, *options)
    assert done.exit_code == 0, done.output
    return out.read_bytes()


def messages(document: bytes) -> Iterator[ElementTree.Element]:
    root = ElementTree.fromstring(document)
    assert root.tag == "AuditMessages"
    return iter(root)


def event_code(message: ElementTree.Element) -> str:
    return message.find("EventIdentification/EventID").attrib["csd-code"]  # type: ignore[union-attr]


@pytest.mark.parametrize("options", [(), ("--patients",)])
def test_every_message_follows_the_schema(config: Path, options: tuple[str, ...]) -> None:
    found = list(messages(exported(config, *options)))

    assert [fault for message in found for fault in faults(message)] == []
    assert len(found) == 4 + len(ACTIONS) + len(STUDY_ACTIONS)
    assert {event_code(one) for one in found} == {
        *("110100", "110101", "110103", "110104", "110105", "110111", "110113", "110114")
    }


def test_the_schema_sees_what_is_wrong(config: Path) -> None:
    """Guards the test above."""
    (message, *_) = messages(exported(config))
    participant = message.find("ActiveParticipant")
    assert participant is not None
    del participant.attrib["UserID"]
    message.append(ElementTree.Element("EventIdentification", EventOutcomeIndicator="1"))

    assert len(faults(message)) == 5


@pytest.mark.parametrize("kind", ["xml", "json"])
def test_a_patient_is_named_only_where_asked_for(config: Path, kind: str) -> None:
    without = exported(config, "--format", kind)
    with_patients = exported(config, "--format", kind, "--patients")

    assert canary.leaks({"without": without}) == []
    assert canary.NAME.encode() in with_patients
    assert f"{canary.MARK}-7731".encode() in with_patients


def test_a_transfer_says_who_sent_what_to_whom(config: Path) -> None:
    transfers = [one for one in messages(exported(config)) if event_code(one) == "110104"]

    (came, went, failed) = transfers
    said = [
        [
            (one.attrib["UserID"], one.attrib.get("AlternativeUserID"), code.attrib["csd-code"])
            for one in message.findall("ActiveParticipant")
            for code in one.findall("RoleIDCode")
        ]
        for message in (came, went)
    ]
    own = ("NEUROSIEVE", "AETITLES=NEUROSIEVE")
    assert said == [
        [("PACS", "AETITLES=PACS", "110153"), (*own, "110152")],
        [(*own, "110153"), ("pacs", "AETITLES=ARCHIVE", "110152")],
    ]
    (images,) = came.iter("SOPClass")
    assert images.attrib == {"UID": "1.2.840.10008.5.1.4.1.1.4", "NumberOfInstances": "3"}
    outcomes = [
        one.find("EventIdentification").attrib["EventOutcomeIndicator"]  # type: ignore[union-attr]
        for one in transfers
    ]
    assert outcomes == ["0", "0", "4"]
    assert failed is transfers[-1]
    place = went.findall("ActiveParticipant")[1].attrib
    assert (place["NetworkAccessPointID"], place["NetworkAccessPointTypeCode"]) == ("10.1.2.3", "2")


def test_an_export_is_noted_itself(config: Path) -> None:
    exported(config)
    lines = [json.loads(line) for line in exported(config, "--format", "json").splitlines()]

    assert (lines[-1]["action"], lines[-1]["event_id"]) == ("audit exported", "110101")
    assert lines[-1]["subject"] == "without patients"


def test_only_what_happened_since_is_written(config: Path) -> None:
    lines = exported(config, "--format", "json", "--since", "2026-06-01").splitlines()

    assert {json.loads(line)["at"][:4] for line in lines} == {f"{datetime.now(UTC):%Y}"}
    assert len(lines) == 4  # the others are of an earlier day


def test_a_study_whose_images_are_gone_has_no_name(config: Path) -> None:
    for file in (config.parent / "data" / "images").rglob("*.dcm"):
        file.unlink()

    transfers = [
        one for one in messages(exported(config, "--patients")) if event_code(one) == "110104"
    ]
    names = [name.text for one in transfers for name in one.iter("ParticipantObjectName")]
    assert names[1::2] == ["unknown"] * 3


def test_a_wrong_seal_ends_with_a_sentence(config: Path) -> None:
    done = run("verify", "--newest", "f" * 64, "-c", config)

    assert done.exit_code == 1
    assert "cut off" in done.output


def test_every_action_of_the_node_has_a_code_of_its_own() -> None:
    """What is not known counts as a change of the configuration."""
    actions = [value for name, value in vars(audit_trail).items() if name.isupper()]
    texts = [one for one in actions if isinstance(one, str)]

    assert len(texts) == 16
    others = {audit_codes.kind_of(one).type for one in texts}
    assert audit_codes.kind_of("model activated").type not in others

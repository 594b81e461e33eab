"""The recipes for PACS are well-formed and name the node; Orthanc's is run by tests/system."""

import json
import re

from agent import settings
from agent.dicom.listener import OUR_MANUFACTURER
from deploy_files import DEPLOY

ROUTING = DEPLOY / "routing"
# The keys of mercure 0.4's targets and rules, from its configuration classes.
TARGET_KEYS = {"target_type", "ip", "port", "aet_target", "aet_source", "contact", "comment"}
RULE_KEYS = {
    "rule",
    "target",
    "disabled",
    "fallback",
    "contact",
    "comment",
    "tags",
    "action",
    "action_trigger",
    "study_trigger_condition",
    "study_trigger_series",
    "priority",
    "notification_webhook",
    "notification_trigger_reception",
    "notification_trigger_completion",
    "notification_trigger_error",
}


def ldif() -> dict[str, dict[str, list[str]]]:
    """The entries of the LDIF file by their first name, e.g. `dcmExporterID=neurosieve`."""
    text = (ROUTING / "dcm4chee" / "neurosieve.ldif").read_text(encoding="utf-8")
    entries = {}
    for block in re.split(r"\n\s*\n", text):
        pairs = [
            line.split(": ", 1) for line in block.splitlines() if line and not line.startswith("#")
        ]
        if not pairs:
            continue
        assert [name for name, _ in pairs[:2]] == ["dn", "changetype"]
        entry: dict[str, list[str]] = {}
        for name, value in pairs:
            entry.setdefault(name, []).append(value)
        entries[",".join(entry["dn"][0].split(",")[:2])] = entry
    return entries


def test_an_ldif_entry_holds_what_its_name_says() -> None:
    for entry in ldif().values():
        attribute, value = entry["dn"][0].split(",")[0].split("=")
        assert entry[attribute] == [value]


def test_dcm4chee_sends_mr_to_the_nodes_title_and_port() -> None:
    entries = ldif()
    node = settings.NodeSettings()
    exporter = entries["dcmExporterID=neurosieve,dicomDeviceName=dcm4chee-arc"]
    rule = entries["cn=neurosieve,dicomDeviceName=dcm4chee-arc"]
    place = entries["cn=dicom,dicomDeviceName=neurosieve"]
    assert exporter["dcmURI"] == [f"dicom:{node.ae_title}"]
    assert rule["dcmExporterID"] == exporter["dcmExporterID"]
    assert "Modality=MR" in rule["dcmProperty"]
    assert place["dicomPort"] == [str(node.port)]


def test_no_recipe_sends_our_results_back() -> None:
    """Only MR is sent, and of MR nothing that we computed."""
    rule = ldif()["cn=neurosieve,dicomDeviceName=dcm4chee-arc"]
    assert "SendingApplicationEntityTitle!=NEUROSIEVE" in rule["dcmProperty"]
    mercure = json.loads((ROUTING / "mercure" / "mercure-part.json").read_text(encoding="utf-8"))
    (one,) = mercure["rules"].values()
    assert f'tags.Manufacturer != "{OUR_MANUFACTURER}"' in one["rule"]
    assert "'MR'" in (ROUTING / "orthanc" / "neurosieve-route.lua").read_text(encoding="utf-8")


def test_mercure_knows_every_key() -> None:
    mercure = json.loads((ROUTING / "mercure" / "mercure-part.json").read_text(encoding="utf-8"))
    (name,) = mercure["targets"]
    (rule,) = mercure["rules"].values()
    assert set(mercure["targets"][name]) <= TARGET_KEYS
    assert set(rule) <= RULE_KEYS
    assert rule["target"] == name
    assert mercure["targets"][name]["port"] == str(settings.NodeSettings().port)

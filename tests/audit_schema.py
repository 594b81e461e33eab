"""The schema of DICOM audit messages (PS3.15 A.5.1.1): elements, attributes and their order."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

_TOKEN = r"(?s)\S.*"
_ANY = r"(?s).*"
_CODED = {"csd-code": _TOKEN, "codeSystemName": _TOKEN, "originalText": _TOKEN}
_BASE64 = r"[A-Za-z0-9+/]*={0,2}"
_UID = r"[0-2](\.(0|[1-9][0-9]*))*"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What an element holds: its children as a regular expression over their names and spaces."""

    needed: Mapping[str, str] = field(default_factory=dict)
    allowed: Mapping[str, str] = field(default_factory=dict)
    children: str = ""


_RULES = {
    "AuditMessage": Rule(
        children="EventIdentification (ActiveParticipant )+AuditSourceIdentification "
        "(ParticipantObjectIdentification )*"
    ),
    "EventIdentification": Rule(
        needed={
            "EventDateTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
            "EventOutcomeIndicator": "0|4|8|12",
        },
        allowed={"EventActionCode": "[CRUDE]"},
        children="EventID (EventTypeCode )*(EventOutcomeDescription )?",
    ),
    "EventID": Rule(needed=_CODED, allowed={"displayName": _TOKEN}),
    "EventTypeCode": Rule(needed=_CODED, allowed={"displayName": _TOKEN}),
    "RoleIDCode": Rule(needed=_CODED, allowed={"displayName": _TOKEN}),
    "ParticipantObjectIDTypeCode": Rule(needed=_CODED, allowed={"displayName": _TOKEN}),
    "ActiveParticipant": Rule(
        needed={"UserID": _ANY, "UserIsRequestor": "true|false"},
        allowed={
            "AlternativeUserID": _ANY,
            "UserName": _ANY,
            "NetworkAccessPointID": _TOKEN,
            "NetworkAccessPointTypeCode": "[1-5]",
        },
        children="(RoleIDCode )*(MediaIdentifier )?",
    ),
    "AuditSourceIdentification": Rule(
        needed={"AuditSourceID": _TOKEN},
        allowed={"AuditEnterpriseSiteID": _TOKEN},
        children="(AuditSourceTypeCode )*",
    ),
    "AuditSourceTypeCode": Rule(needed={"csd-code": "[1-9]"}),
    "ParticipantObjectIdentification": Rule(
        needed={"ParticipantObjectID": _TOKEN},
        allowed={
            "ParticipantObjectTypeCode": "[1-4]",
            "ParticipantObjectTypeCodeRole": "[1-9]|1[0-9]|2[0-6]",
            "ParticipantObjectDataLifeCycle": "[1-9]|1[0-5]",
            "ParticipantObjectSensitivity": _TOKEN,
        },
        children="ParticipantObjectIDTypeCode (ParticipantObjectName |ParticipantObjectQuery )"
        "(ParticipantObjectDetail )*(ParticipantObjectDescription )*",
    ),
    "ParticipantObjectName": Rule(),
    "ParticipantObjectDetail": Rule(needed={"type": _TOKEN, "value": _BASE64}),
    "ParticipantObjectDescription": Rule(children="(MPPS )*(Accession )*(SOPClass )*"),
    "SOPClass": Rule(
        needed={"NumberOfInstances": r"\d+"}, allowed={"UID": _UID}, children="(Instance )*"
    ),
}


def faults(element: Element) -> list[str]:
    """What is not as the schema says, of an element and everything in it."""
    rule = _RULES.get(element.tag)
    if rule is None:
        return [f"<{element.tag}> is not known"]
    known = {**rule.needed, **rule.allowed}
    names = "".join(f"{child.tag} " for child in element)
    found = [f"{element.tag} lacks {name}" for name in rule.needed if name not in element.attrib]
    found += [
        f'{element.tag} {name}="{value}"'
        for name, value in element.attrib.items()
        if name not in known or not re.fullmatch(known[name], value)
    ]
    if not re.fullmatch(rule.children, names):
        found.append(f"{element.tag} holds {names.strip() or 'nothing'}")
    return [*found, *(fault for child in element for fault in faults(child))]

"""Audit events as DICOM audit messages (PS3.15 A.5), which IHE ATNA takes over.

Without a patient's data: those are no part of an event, and come in only where they are given.
"""

import base64
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from agent import audit_codes as codes
from agent import audit_trail as trail
from storage.records import AuditEvent


@dataclass(frozen=True, kw_only=True)
class Patient:
    """Whom a study is about, as its images say."""

    patient_id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Site:
    """The node that reports, and where its destinations are: by name AE title or URL, and host."""

    ae_title: str
    host: str
    destinations: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Told:
    """An event with what else is known of its study: how many instances of which SOP class."""

    event: AuditEvent
    classes: Mapping[str, int]
    patient: Patient | None = None


def as_json(told: Told) -> dict[str, object]:
    """One event as plain values, with its codes."""
    kind, event = codes.kind_of(told.event.action), told.event
    patient = told.patient
    return {
        "number": event.number,
        "at": event.at.isoformat(),
        "who": event.who,
        "action": event.action,
        "subject": event.subject,
        "detail": codes.detail_of(event, in_full=patient is not None),
        "event_id": kind.event[0],
        "event_type": kind.type[0] if kind.type else None,
        "failed": kind.failed,
        "instances": dict(told.classes),
        "sha256": event.sha256,
        **({"patient_id": patient.patient_id, "patient_name": patient.name} if patient else {}),
    }


def as_xml(events: Iterable[Told], site: Site) -> bytes:
    """All messages in one document: AuditMessage elements inside AuditMessages."""
    root = ElementTree.Element("AuditMessages")
    for told in events:
        root.append(_message(told, site))
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _message(told: Told, site: Site) -> ElementTree.Element:
    kind, event = codes.kind_of(told.event.action), told.event
    message = ElementTree.Element("AuditMessage")
    told_event = ElementTree.SubElement(
        message,
        "EventIdentification",
        EventActionCode=kind.act,
        EventDateTime=event.at.isoformat(),
        EventOutcomeIndicator="4" if kind.failed else "0",
    )
    _coded(told_event, "EventID", kind.event)
    if kind.type:
        _coded(told_event, "EventTypeCode", kind.type)
    for user, ae_title, host, role, asks in _participants(event, kind, site):
        _participant(message, user, ae_title, host, role, asks=asks)
    source = ElementTree.SubElement(
        message, "AuditSourceIdentification", AuditSourceID=_plain(site.ae_title)
    )
    ElementTree.SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})
    _objects(message, told, kind, site)
    return message


def _participants(
    event: AuditEvent, kind: codes.Kind, site: Site
) -> list[tuple[str, str, str, codes.Code | None, bool]]:
    """User, AE title, host, role and who asked, as the tables of A.5.3 want them."""
    node = (site.ae_title, site.ae_title, site.host)
    if event.action == trail.IMAGES_RECEIVED:
        sender = (event.who, event.who, "")
        return [(*sender, codes.SOURCE_ROLE, True), (*node, codes.DESTINATION_ROLE, False)]
    if kind.event == codes.TRANSFERRED:
        name = event.detail.partition(":")[0]
        called, host = site.destinations.get(name, ("", ""))
        return [
            (*node, codes.SOURCE_ROLE, True),
            (name, called, host, codes.DESTINATION_ROLE, False),
        ]
    if kind.event == codes.APPLICATION_ACTIVITY:
        return [(*node, codes.APPLICATION, False), (event.who, "", "", codes.LAUNCHER, True)]
    if kind.event == codes.USER_AUTHENTICATION:  # the subject is the address of who signs in
        return [(event.who, "", event.subject, None, True), (*node, None, False)]
    return [(event.who, "", "", None, True), (*node, codes.APPLICATION, False)]


def _participant(
    message: ElementTree.Element,
    user: str,
    ae_title: str,
    host: str,
    role: codes.Code | None,
    *,
    asks: bool,
) -> None:
    attributes = {"UserID": _plain(user), "UserIsRequestor": str(asks).lower()}
    if ae_title:
        attributes["AlternativeUserID"] = f"AETITLES={_plain(ae_title)}"
    if host:
        attributes |= {
            "NetworkAccessPointID": _plain(host),
            "NetworkAccessPointTypeCode": "2" if _is_address(host) else "1",
        }
    element = ElementTree.SubElement(message, "ActiveParticipant", attributes)
    if role:
        _coded(element, "RoleIDCode", role)


def _objects(message: ElementTree.Element, told: Told, kind: codes.Kind, site: Site) -> None:
    event = told.event
    if kind.event in codes.OF_A_STUDY:
        uid = event.subject.partition("#")[0]
        study = _object(message, uid, codes.STUDY_UID, name=event.subject, type_code="2", role="3")
        _detail(study, told)
        described = ElementTree.SubElement(study, "ParticipantObjectDescription")
        for class_uid, count in sorted(told.classes.items()):
            ElementTree.SubElement(
                described, "SOPClass", UID=class_uid, NumberOfInstances=str(count)
            )
        if told.patient:
            patient_id = told.patient.patient_id or "unknown"
            name = told.patient.name or "unknown"
            _object(message, patient_id, codes.PATIENT_NUMBER, name=name, type_code="1", role="1")
    elif kind.event == codes.AUDIT_LOG_USED:
        log = "Security Audit Log"
        _object(message, "audit_event", codes.URI, name=log, type_code="2", role="13")
    elif kind.event == codes.SECURITY_ALERT:
        alert = _object(
            message, site.ae_title, codes.NODE_ID, name=event.subject, type_code="2", role="13"
        )
        _detail(alert, told)


def _object(
    message: ElementTree.Element,
    uid: str,
    id_type: codes.Code,
    *,
    name: str,
    type_code: str,
    role: str,
) -> ElementTree.Element:
    element = ElementTree.SubElement(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID=_plain(uid),
        ParticipantObjectTypeCode=type_code,
        ParticipantObjectTypeCodeRole=role,
    )
    _coded(element, "ParticipantObjectIDTypeCode", id_type)
    ElementTree.SubElement(element, "ParticipantObjectName").text = _plain(name)
    return element


def _detail(element: ElementTree.Element, told: Told) -> None:
    """In base64, as the schema wants it."""
    detail = codes.detail_of(told.event, in_full=told.patient is not None)
    for name, text in (("Alert Description", told.event.action), ("Detail", detail)):
        if text:
            value = base64.b64encode(text.encode()).decode("ascii")
            ElementTree.SubElement(element, "ParticipantObjectDetail", type=name, value=value)


def _coded(parent: ElementTree.Element, name: str, code: codes.Code) -> None:
    value, scheme, meaning = code
    ElementTree.SubElement(
        parent, name, {"csd-code": value, "codeSystemName": scheme, "originalText": meaning}
    )


def _plain(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold."""
    return "".join(one for one in text if one.isprintable())


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

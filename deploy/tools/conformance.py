"""What deploy/docs/conformance.md says that follows from the code."""

import ssl
from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import product
from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydicom import uid
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.sr.coding import Code
from pynetdicom import DEFAULT_TRANSFER_SYNTAXES
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

from agent import settings
from agent.dicom import (
    admission,
    codes,
    elements,
    frames,
    gate,
    headers,
    identifiers,
    listener,
    message_limits,
    pdus,
    query,
    result_classes,
    syntaxes,
    tls,
    wire,
)
from agent.dicom import commitment_messages as messages
from agent.dicom.objects import equipment, profiles
from agent.dicom.objects.profiles import MapValues, Profile, ReportClass, Syntax
from regions import Row, table
from storage.enums import Role

_SETTINGS = (
    ("node", settings.NodeSettings),
    ("tls", settings.TlsSettings),
    ("completion", settings.CompletionSettings),
    ("peers", settings.PeerSettings),
    ("destinations", settings.DestinationSettings),
    ("delivery", settings.DeliverySettings),
    ("results", settings.ResultSettings),
)


def accepted_contexts() -> str:
    """What the storage SCP accepts."""
    plain = ", ".join(map(_syntax_name, DEFAULT_TRANSFER_SYNTAXES))
    stored = "those of the table below"
    rows = [(wire.VERIFICATION.name, str(wire.VERIFICATION), plain)]
    rows += [(one.name, str(one), stored) for one in listener.ACCEPTED_CLASSES]
    both = ", ".join(map(_syntax_name, messages.SYNTAXES))
    rows.append((messages.SOP_CLASS.name, str(messages.SOP_CLASS), both))
    return table(("SOP class", "UID", "transfer syntaxes"), rows)


def accepted_syntaxes() -> str:
    """The transfer syntaxes of images, the preferred one first."""
    rows = ((str(n), _syntax_name(one), one) for n, one in enumerate(syntaxes.decodable(), 1))
    return table(("preference", "transfer syntax", "UID"), rows)


def proposed_contexts() -> str:
    """Every pair that the storage SCU may propose, for whatever a destination is configured."""
    pairs: dict[str, set[str]] = {}
    for syntax, report, values in product(Syntax, ReportClass, MapValues):
        profile = Profile(
            report=report,
            parametric_map=values,
            key_images=True,
            derived_series=True,
            rejection_note=True,
            transfer_syntax=syntax,
        )
        for sop_class, used in result_classes.wanted(profile).items():
            pairs.setdefault(sop_class, set()).add(used)
    rows = (
        (name, sop_class, ", ".join(sorted(map(_syntax_name, pairs[sop_class]))))
        for sop_class, name in result_classes.NAMES.items()
    )
    return table(("object", "SOP class UID", "transfer syntaxes"), rows)


def proposed_services() -> str:
    """What is proposed besides storage; our role is that of the SCU unless it is negotiated."""
    usual = ", ".join(map(_syntax_name, DEFAULT_TRANSFER_SYNTAXES))
    both = ", ".join(map(_syntax_name, messages.SYNTAXES))
    services = (
        (wire.VERIFICATION, usual, "SCU"),
        (messages.SOP_CLASS, both, "SCU; SCP, by role selection, to report"),
        (query.FIND, usual, "SCU"),
        (query.MOVE, usual, "SCU"),
    )
    rows = ((one.name, str(one), offered, role) for one, offered, role in services)
    return table(("SOP class", "UID", "transfer syntaxes", "our role"), rows)


def store_statuses() -> str:
    """How a C-STORE request is answered."""
    said = {
        listener.SUCCESS: "The image is on disk and survives a loss of power.",
        listener.PROCESSING_FAILED: "A fault of the node; the sender may try again.",
    }
    for error, status in listener._STATUS_OF.items():
        sentence = (error.__doc__ or "").partition("\n")[0]
        said[status] = f"{said[status]} {sentence}" if status in said else sentence
    rows = (
        (f"0x{status:04X}", ": ".join(filter(None, STORAGE_SERVICE_CLASS_STATUS[status])), sentence)
        for status, sentence in sorted(said.items())
    )
    return table(("status", "service status", "when"), rows)


def time_limits() -> str:
    """How long an association waits for what."""
    return table(
        ("limit", "seconds"),
        (
            ("TCP connection", f"{wire.CONNECT_SECONDS:g}"),
            ("negotiation and release of an association of ours", f"{wire.NEGOTIATION_SECONDS:g}"),
            ("end of an association that a peer opened", f"{admission._END_SECONDS:g}"),
            ("a peer that was rejected closes", f"{admission._LINGER_SECONDS:g}"),
            ("answer to one DIMSE message", f"{wire.MESSAGE_SECONDS:g}"),
            ("silence on an open association", f"{wire.IDLE_SECONDS:g}"),
        ),
    )


def limits() -> str:
    """What a peer may take before it is sent away, and how that is said."""
    aborted, too_much = "A-ABORT, reason 6", "A-ABORT, reason 0"
    refused = "C-STORE 0xC000"
    quiet = f"{message_limits.MINIMUM_BYTES_PER_SECOND} bytes a second"
    rows = (
        ("A-ASSOCIATE-RQ", _size(pdus.MAXIMUM_REQUEST_BYTES), "connection closed"),
        ("connections without a whole request", f"{gate.MAXIMUM_WAITING}", "the oldest closed"),
        ("requests decided at once", f"{gate.MAXIMUM_DECIDING}", "connection closed"),
        ("P-DATA-TF PDU", _size(wire.MAXIMUM_PDU_BYTES), aborted),
        ("fragments in a PDU", f"{message_limits.MAXIMUM_FRAGMENTS}", aborted),
        ("command set", _size(message_limits.MAXIMUM_COMMAND_BYTES), aborted),
        ("data set", "`node.maximum_object_mb`", aborted),
        ("all data sets under way", f"{admission._WORKING_OBJECTS} times that", too_much),
        (f"a message, after {wire.IDLE_SECONDS:g} s", quiet, too_much),
        ("depth of sequences", f"{elements.MAXIMUM_DEPTH}", refused),
        ("elements of a data set", f"{elements.MAXIMUM_ELEMENTS}", refused),
        ("deflated data set, inflated", _size(elements.INFLATED_LIMIT_BYTES), refused),
        ("pixels that the header announces", _size(headers._LARGEST_PIXEL_BYTES), refused),
        ("Specific Character Set, values", f"{headers._MAXIMUM_CHARACTER_SETS}", refused),
        ("storage commitment, a request or report", _size(messages.MAXIMUM_BYTES), "0x0115"),
    )
    return table(("what", "at most", "else"), rows)


def _size(size_bytes: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size_bytes % unit == 0:
            return f"{size_bytes // unit} {name}"
    return f"{size_bytes} bytes"


def cipher_suites() -> str:
    """What is offered and taken of TLS 1.2, the preferred first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(tls.CIPHERS)
    found = (one["name"] for one in context.get_ciphers() if one["protocol"] == "TLSv1.2")
    return table(("suite of TLS 1.2",), ((f"`{name}`",) for name in found))


def implementation() -> str:
    """Who we are on the wire."""
    return table(
        ("item", "value"),
        (
            ("Implementation Class UID", wire.IMPLEMENTATION_CLASS_UID),
            ("Implementation Version Name", wire.IMPLEMENTATION_VERSION_NAME),
            ("Maximum PDU length", f"{wire.MAXIMUM_PDU_BYTES}"),
        ),
    )


def configuration() -> str:
    """The keys of the configuration that decide what is said on the network."""
    rows = (row for section, model in _SETTINGS for row in _keys(section, model))
    return table(("key", "default", "choices"), rows)


def _keys(section: str, model: type[BaseModel]) -> Iterator[Row]:
    for name, field in model.model_fields.items():
        choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        default = "needed" if field.is_required() else _written(field.default)
        yield f"`{section}.{name}`", default, ", ".join(map(str, choices))


def _written(default: object) -> str:
    if default in (None, "", {}) or isinstance(default, BaseModel):
        return "not set"
    return str(default).lower() if isinstance(default, bool) else str(default)


def result_series() -> str:
    """The series that results come in, with the usual base of numbers."""
    usual = profiles.USUAL
    rows = (
        (role.value, str(usual.series_number(role)), usual.series_description(role))
        for role in sorted(Role, key=usual.series_number)
    )
    return table(("series", "Series Number", "Series Description"), rows)


def copied_attributes() -> str:
    """What every object repeats of the head image."""
    presence = {True: "always, empty where the image has none", False: "if the image has it"}
    rows = (
        (keyword, _tag(keyword), presence[keyword in equipment._REQUIRED])
        for keyword in equipment._COPIED
    )
    return table(("attribute", "tag", "present"), rows)


def reception_fields() -> str:
    """What is read of an image before it is answered."""
    return table(
        ("attribute", "tag"),
        ((name, f"({tag >> 16:04X},{tag & 0xFFFF:04X})") for tag, name in headers._NAMES.items()),
    )


def enhanced_attributes() -> str:
    """Where an enhanced object keeps what a classic image has at the top level."""
    rows = (
        (dictionary_description(classic), f"{macro} > {inside}")
        for classic, (macro, inside) in frames._MACROS.items()
    )
    return table(("classic attribute", "functional group"), rows)


def private_codes() -> str:
    """Every code of our own scheme."""
    return _codes(code for code in _concepts() if code.scheme_designator == codes.PRIVATE_SCHEME)


def public_codes() -> str:
    """Every code of a public scheme that our own code names."""
    return _codes(code for code in _concepts() if code.scheme_designator != codes.PRIVATE_SCHEME)


def uid_parts() -> str:
    """What the UIDs of a result are derived from."""
    names = (field.name.replace("_", " ") for field in fields(identifiers.ResultIdentity))
    return f"{', '.join(names)} (now {identifiers.SCHEMA_VERSION})\n"


def _concepts() -> list[Code]:
    named = [value for value in vars(codes).values() if isinstance(value, Code)]
    return [*named, *codes._REASONS.values(), codes._OTHER_REASON]


def _codes(concepts: Iterable[Code]) -> str:
    unique = {(one.scheme_designator, one.value, one.meaning) for one in concepts}
    rows = ((value, scheme, meaning) for scheme, value, meaning in sorted(unique))
    return table(("code value", "scheme", "meaning"), rows)


def _syntax_name(syntax: str) -> str:
    return uid.UID(syntax).name


def _tag(keyword: str) -> str:
    tag = tag_for_keyword(keyword) or 0
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


TABLES = {
    "accepted contexts": accepted_contexts,
    "accepted syntaxes": accepted_syntaxes,
    "proposed contexts": proposed_contexts,
    "proposed services": proposed_services,
    "store statuses": store_statuses,
    "time limits": time_limits,
    "limits": limits,
    "cipher suites": cipher_suites,
    "implementation": implementation,
    "configuration": configuration,
    "result series": result_series,
    "copied attributes": copied_attributes,
    "reception fields": reception_fields,
    "enhanced attributes": enhanced_attributes,
    "private codes": private_codes,
    "public codes": public_codes,
    "uid parts": uid_parts,
}

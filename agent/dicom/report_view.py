"""What a report of TID 1500 says, in the order in which a reader wants it."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

from agent.dicom import codes

_GROUP = "125007"  # DCM, Measurement Group
_TRACKING_IDENTIFIER = "112039"  # DCM
_FINDING_SITE = "363698007"  # SCT
_FLAGS = ("CompletionFlag", "PreliminaryFlag", "VerificationFlag")
# Said by the verdict and the table already, or the same in every report.
_PASSED_OVER = frozenset(
    {
        codes.VERDICT.value,
        codes.PROCESSING_SUMMARY.value,
        codes.INTENDED_USE.value,
        "276214006",  # SCT, Finding category
        "121071",  # DCM, Finding
    }
)

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Region:
    """One marked region: its name, where it lies, and what was measured."""

    name: str
    place: str
    facts: Facts


@dataclass(frozen=True, kw_only=True)
class View:
    """A report as a reader sees it; texts are plain, nothing is escaped."""

    title: str
    flags: str
    study: Facts
    verdict: str
    impression: str
    facts: Facts
    regions: tuple[Region, ...]
    comments: tuple[str, ...]


def read(report: Dataset) -> View:
    """Gather what the content tree says of the study and of each region."""
    groups = [item for item in _below(report) if name_code(item) == _GROUP]
    studies = [group for group in groups if _child(group, codes.VERDICT.value) is not None]
    study = studies[0] if studies else Dataset()
    # A region stands in the tree as a segment and as an outline; the segment holds all measures.
    regions: dict[str, Region] = {}
    for group in groups:
        if group is not study:
            region = _region(group)
            known = regions.get(region.name)
            if known is None or len(region.facts) > len(known.facts):
                regions[region.name] = region
    verdict, impression = _child(study, codes.VERDICT.value), _child(study, codes.IMPRESSION.value)
    return View(
        title=concept_name(report) or "Structured report",
        flags=" · ".join(str(report.get(flag)) for flag in _FLAGS if report.get(flag)),
        study=_study(report),
        verdict=value_text(verdict) if verdict is not None else "",
        impression=value_text(impression) if impression is not None else "",
        facts=_facts(study),
        regions=tuple(regions.values()),
        comments=tuple(
            value_text(item)
            for item in study.get("ContentSequence", [])
            if name_code(item) == codes.COMMENT.value
        ),
    )


def concept_name(item: Dataset) -> str:
    """The name of a content item; its value type where it has none."""
    names = item.get("ConceptNameCodeSequence", [])
    return str(names[0].CodeMeaning) if names else str(item.get("ValueType", ""))


def name_code(item: Dataset) -> str:
    """The code value of a content item's name."""
    names = item.get("ConceptNameCodeSequence", [])
    return str(names[0].get("CodeValue", "")) if names else ""


def value_text(item: Dataset) -> str:
    """What one content item says (PS3.3 table C.17.3-7), by its value type."""
    kind = item.get("ValueType")
    if kind == "TEXT":
        return str(item.TextValue)
    if kind == "NUM":
        return _number(item)
    if kind == "CODE":
        return str(item.ConceptCodeSequence[0].CodeMeaning)
    if kind in {"IMAGE", "COMPOSITE"}:
        return str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    if kind == "SCOORD":
        return f"{item.GraphicType}, {len(item.GraphicData) // 2} points"
    plain = {"UIDREF": "UID", "PNAME": "PersonName", "DATETIME": "DateTime", "DATE": "Date"}
    return str(item.get(plain.get(str(kind), ""), "")) if kind in plain else ""


def _number(item: Dataset) -> str:
    if not item.get("MeasuredValueSequence"):
        return "not measured"
    measured = item.MeasuredValueSequence[0]
    unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
    return f"{measured.NumericValue:.4g}" + ("" if unit == "1" else f" {unit}")


def _below(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from _below(child)


def _child(item: Dataset, code: str) -> Dataset | None:
    children = item.get("ContentSequence", [])
    return next((child for child in children if name_code(child) == code), None)


def _study(report: Dataset) -> Facts:
    """Which study it is; the patient is not named."""
    known = (
        ("Study", report.get("StudyInstanceUID")),
        ("Study date", _day(report.get("StudyDate"))),
        ("Accession number", report.get("AccessionNumber")),
        ("Reported", f"{_day(report.get('ContentDate'))} {_minute(report.get('ContentTime'))}"),
    )
    return tuple((name, str(value).strip()) for name, value in known if value)


def _day(date: object) -> str:
    """A DICOM date (VR DA) with hyphens; anything else as it is."""
    text = str(date or "")
    plain = len(text) == 8 and text.isdecimal()
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if plain else text


def _minute(time: object) -> str:
    """Hour and minute of a DICOM time (VR TM)."""
    text = str(time or "")
    return f"{text[:2]}:{text[2:4]}" if text[:4].isdecimal() else text


def _facts(group: Dataset) -> Facts:
    """Measurements and evaluations of a group, the derivation said with the name."""
    found = []
    for item in group.get("ContentSequence", []):
        if item.get("ValueType") in {"NUM", "CODE"} and name_code(item) not in _PASSED_OVER:
            if item.get("RelationshipType") != "CONTAINS":
                continue
            derivation = [
                value_text(child)
                for child in item.get("ContentSequence", [])
                if name_code(child) == "121401"  # DCM, Derivation
            ]
            found.append((", ".join([concept_name(item), *derivation]), value_text(item)))
    return tuple(found)


def _region(group: Dataset) -> Region:
    name = _child(group, _TRACKING_IDENTIFIER)
    site = _child(group, _FINDING_SITE)
    words = [value_text(child) for child in site.get("ContentSequence", [])] if site else []
    return Region(
        name=value_text(name) if name is not None else "Region",
        place=", ".join(words),
        facts=_facts(group),
    )

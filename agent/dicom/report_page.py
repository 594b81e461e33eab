"""A structured report as a page: the content tree (PS3.3 C.17.3) as nested lists, nothing added."""

from html import escape

from pydicom.dataset import Dataset

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1f24; background: #fff; }
header { border-bottom: 4px solid #b3261e; margin-bottom: 1rem; }
header p { color: #b3261e; font-weight: 700; }
ul { list-style: none; padding-left: 1.25rem; border-left: 1px solid #d0d7de; }
b { font-weight: 600; } small { color: #57606a; }
"""


def render(report: Dataset) -> str:
    """The whole report as one HTML document without outside assets."""
    title = escape(_name(report) or "Structured report")
    flags = " · ".join(
        escape(str(report.get(keyword, "")))
        for keyword in ("CompletionFlag", "PreliminaryFlag", "VerificationFlag")
        if report.get(keyword)
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<header><h1>{title}</h1><p>RESEARCH USE ONLY</p><p><small>{flags}</small></p></header>"
        f"<main>{_list(report)}</main></body></html>\n"
    )


def _list(item: Dataset) -> str:
    children = item.get("ContentSequence", [])
    return f"<ul>{''.join(map(_item, children))}</ul>" if children else ""


def _item(item: Dataset) -> str:
    value = escape(_value(item))
    return f"<li><b>{escape(_name(item))}</b>{': ' if value else ''}{value}{_list(item)}</li>"


def _name(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence", [])
    return str(names[0].CodeMeaning) if names else str(item.get("ValueType", ""))


def _value(item: Dataset) -> str:
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

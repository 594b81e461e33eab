"""A structured report as a page and as plain text: the answer first, the whole tree below it."""

from html import escape

from pydicom.dataset import Dataset

from agent.dicom import report_view
from agent.dicom.report_view import Facts, Region
from agent.imaging.captions import RESEARCH_MARKING

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --page: #fff; --line: #d0d7de; --soft: #57606a;
        --mark: #b3261e; --card: #f6f8fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --page: #0d1117; --line: #30363d;
        --soft: #9198a1; --mark: #ff7b72; --card: #161b22; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: var(--ink); background: var(--page); overflow-wrap: anywhere; }
header { border-bottom: 4px solid var(--mark); margin-bottom: 1rem; }
header p { color: var(--mark); font-weight: 700; margin: .25rem 0; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
.verdict { background: var(--card); border-left: 4px solid var(--mark); padding: .75rem 1rem; }
.verdict strong { font-size: 1.2rem; display: block; }
.verdict, table { margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line);
         vertical-align: top; }
th { font-weight: 600; } ul { list-style: none; padding-left: 1.25rem; }
details ul { border-left: 1px solid var(--line); } summary { cursor: pointer; }
b { font-weight: 600; } small { color: var(--soft); }
@media print { details { display: none; } }
"""


def render(report: Dataset) -> str:
    """The whole report as one HTML document without outside assets."""
    view = report_view.read(report)
    title = escape(view.title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<header><h1>{title}</h1><p>{RESEARCH_MARKING}</p><p><small>{escape(view.flags)}</small></p>"
        f"</header><main>{_table(view.study)}"
        f'<section class="verdict"><strong>{escape(view.verdict)}</strong>'
        f"{escape(view.impression)}</section>{_table(view.facts)}{_regions(view.regions)}"
        f"<h2>How it came about</h2><ul>{''.join(_entry(text) for text in view.comments)}</ul>"
        f"<details><summary>The whole report</summary>{_tree(report)}</details></main>"
        "</body></html>\n"
    )


def as_text(report: Dataset) -> str:
    """The report for a terminal."""
    view = report_view.read(report)
    lines = [view.title, f"{RESEARCH_MARKING}  ({view.flags})", "", *_lines(view.study), ""]
    lines += [f"{view.verdict}: {view.impression}", *_lines(view.facts)]
    for region in view.regions:
        lines += ["", _heading(region), *_lines(region.facts)]
    lines += ["", "How it came about", *(f"  {text}" for text in view.comments)]
    return "\n".join(lines)


def _heading(region: Region) -> str:
    return f"{region.name} ({region.place})" if region.place else region.name


def _lines(facts: Facts) -> list[str]:
    return [f"  {name}: {value}" for name, value in facts]


def _table(facts: Facts) -> str:
    if not facts:
        return ""
    rows = (f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in facts)
    return f"<table>{''.join(rows)}</table>"


def _regions(regions: tuple[Region, ...]) -> str:
    """One column a region, one row a measure."""
    if not regions:
        return ""
    names = list(dict.fromkeys(name for region in regions for name, _ in region.facts))
    head = "".join(f"<th>{escape(_heading(region))}</th>" for region in regions)
    rows = [f"<tr><th></th>{head}</tr>"]
    for name in names:
        values = (escape(dict(region.facts).get(name, "")) for region in regions)
        cells = "".join(f"<td>{value}</td>" for value in values)
        rows.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    return f"<h2>Marked regions</h2><table>{''.join(rows)}</table>"


def _entry(text: str) -> str:
    return f"<li>{escape(text)}</li>"


def _tree(item: Dataset) -> str:
    """The content tree (PS3.3 C.17.3) as nested lists, nothing added."""
    children = item.get("ContentSequence", [])
    return f"<ul>{''.join(map(_node, children))}</ul>" if children else ""


def _node(item: Dataset) -> str:
    value = escape(report_view.value_text(item))
    name = escape(report_view.concept_name(item))
    return f"<li><b>{name}</b>{': ' if value else ''}{value}{_tree(item)}</li>"

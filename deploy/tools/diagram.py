"""The network diagram of deploy/docs/data-flow.md: who connects to whom, with which protocol."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from agent import settings


@dataclass(frozen=True, kw_only=True)
class _Box:
    x: int
    y: int
    width: int
    height: int
    lines: tuple[str, ...]
    ours: bool = False


@dataclass(frozen=True, kw_only=True)
class _Arrow:
    """Points from who opens the connection; `at` is where its words begin."""

    path: str
    words: str
    at: tuple[int, int]


def network() -> str:
    """The diagram as SVG."""
    node, page, tls = settings.NodeSettings(), settings.StatusSettings(), settings.TlsSettings()
    boxes = (
        _Box(x=20, y=60, width=170, height=64, lines=("PACS or scanner", "sends studies")),
        _Box(x=20, y=250, width=170, height=64, lines=("PACS, DICOMweb", "keeps results")),
        _Box(x=390, y=40, width=200, height=60, lines=("listener", "keeps every image"), ours=True),
        _Box(
            x=390, y=140, width=200, height=60, lines=("status page", "metrics, health"), ours=True
        ),
        _Box(x=390, y=250, width=200, height=64, lines=("worker", "model, CPU or GPU"), ours=True),
        _Box(
            x=680, y=40, width=180, height=74, lines=("data folder", "images, results,", "models")
        ),
        _Box(
            x=680,
            y=240,
            width=180,
            height=74,
            lines=("database", "SQLite in the folder,", "or PostgreSQL"),
        ),
        _Box(x=20, y=155, width=170, height=64, lines=("administrator", "browser, Prometheus")),
    )
    arrows = (
        _Arrow(path="M190 74 H390", words=f"C-STORE {node.port}, TLS {tls.port}", at=(205, 66)),
        _Arrow(path="M390 94 H190", words="C-FIND, C-MOVE, QIDO", at=(205, 110)),
        _Arrow(path="M190 178 H390", words=f"HTTP(S) {page.port}", at=(210, 170)),
        _Arrow(path="M390 282 H190", words="C-STORE, or STOW-RS", at=(210, 274)),
        _Arrow(path="M390 300 H190", words="storage commitment, query", at=(205, 317)),
        _Arrow(path="M590 70 H680", words="files", at=(612, 62)),
        _Arrow(path="M590 262 L680 100", words="files", at=(600, 196)),
        _Arrow(path="M590 290 H680", words="queue", at=(604, 308)),
        _Arrow(path="M590 85 L680 250", words="rows", at=(650, 172)),
    )
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 360" role="img" '
        'font-family="sans-serif" font-size="15">',
        "<title>Network of a NeuroSieve node</title>",
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0 L10 5 L0 10 z" fill="#334155"/>'
        "</marker></defs>",
        '<rect width="880" height="360" fill="#ffffff"/>',
        '<rect x="370" y="14" width="500" height="324" rx="8" fill="#f1f5f9" stroke="#94a3b8" '
        'stroke-dasharray="6 4"/>',
        '<text x="384" y="356" fill="#334155">'
        "the node: one machine, or several over PostgreSQL</text>",
        *(part for one in arrows for part in _arrow(one)),
        *(part for one in boxes for part in _box(one)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(box: _Box) -> Iterator[str]:
    fill = "#dbeafe" if box.ours else "#ffffff"
    yield (
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6" '
        f'fill="{fill}" stroke="#334155"/>'
    )
    first = box.y + box.height // 2 - 10 * (len(box.lines) - 1) + 5
    for number, line in enumerate(box.lines):
        weight = ' font-weight="bold"' if number == 0 else ""
        yield (
            f'<text x="{box.x + box.width // 2}" y="{first + 20 * number}" '
            f'text-anchor="middle"{weight}>{escape(line)}</text>'
        )


def _arrow(arrow: _Arrow) -> Iterator[str]:
    yield (
        f'<path d="{arrow.path}" fill="none" stroke="#334155" stroke-width="1.5" '
        'marker-end="url(#head)"/>'
    )
    yield f'<text x="{arrow.at[0]}" y="{arrow.at[1]}" font-size="13">{escape(arrow.words)}</text>'

"""Markdown as pages that need nothing from outside; links lead to what lies beside them."""

import os
import posixpath
import re
from collections.abc import Callable
from html import escape

from markdown_it import MarkdownIt
from markdown_it.token import Token

from agent.imaging.captions import RESEARCH_MARKING

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --page: #fff; --line: #d0d7de; --card: #f6f8fa;
        --mark: #b3261e; --link: #0b57d0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --page: #0d1117; --line: #30363d;
        --card: #161b22; --mark: #ff7b72; --link: #7aa7ff; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: var(--ink); background: var(--page); overflow-wrap: anywhere; }
.marking { color: var(--mark); font-weight: 700; border-bottom: 4px solid var(--mark); }
a[href] { color: var(--link); } img { max-width: 100%; height: auto; background: #fff; }
table { border-collapse: collapse; display: block; overflow-x: auto; overflow-wrap: normal; }
th, td { text-align: left; padding: .3rem .75rem; border: 1px solid var(--line);
         vertical-align: top; }
thead:not(:has(th:not(:empty))) { display: none; }
pre { background: var(--card); padding: .75rem; overflow-x: auto; }
code { background: var(--card); }
"""

Exists = Callable[[str], bool]


def page(markdown: str, *, place: str, exists: Exists) -> str:
    """One document as HTML. `place` is its own path in the pack, with forward slashes; `exists`
    says of such a path whether it is there. Links to Markdown lead to the page made of it; what is
    not in the pack stays as words."""
    reader = MarkdownIt("commonmark", {"html": True}).enable("table")
    tokens = reader.parse(markdown)
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchor(tokens[number + 1].content))
        for inner in token.children or ():
            _lead(inner, posixpath.dirname(place), exists)
    body = reader.renderer.render(tokens, reader.options, {})
    heading = re.search(r"^# (.+)$", markdown, re.MULTILINE)
    return document(heading[1] if heading else place, body)


def document(title: str, body: str) -> str:
    """A whole page around a body that is HTML already."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f'<p class="marking">{RESEARCH_MARKING}</p>\n{body}</body></html>\n'
    )


def _lead(token: Token, folder: str, exists: Exists) -> None:
    target = str(token.attrGet("href") or "")
    if token.type != "link_open" or target.startswith(("http:", "https:", "mailto:", "#")):
        return
    file, _, anchor = target.partition("#")
    path = posixpath.normpath(posixpath.join(folder, file))
    known = path if exists(path) else f"{path}/README.md"
    if not exists(known):
        del token.attrs["href"]  # a link to nowhere is no link, but its words stay
        return
    page_of = re.sub(r"\.md$", ".html", known)
    relative = os.path.relpath(page_of, folder or ".").replace(os.sep, "/")
    token.attrSet("href", f"{relative}#{anchor}" if anchor else relative)


def anchor(heading: str) -> str:
    """What links call a heading, as GitHub does."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")

"""Parts of a document that are made from the code.

Between `<!-- begin: NAME -->` and `<!-- end -->` stands what is made under that name; all else is
written by hand.
"""

import re
from collections.abc import Callable, Iterable, Mapping

Row = tuple[str, ...]
Tables = Mapping[str, Callable[[], str]]

_REGION = re.compile(r"(<!-- begin: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str, tables: Tables) -> str:
    """The document with every marked region made anew."""
    return _REGION.sub(lambda found: found[1] + tables[found[2]]() + found[3], text)


def table(head: Row, rows: Iterable[Row]) -> str:
    """A table in Markdown."""
    lines = (head, ("---",) * len(head), *rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

"""Markdown tables and figures as text."""

import math
from collections.abc import Iterable, Sequence

from model_training.evaluation.resampling import Interval


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, cells made equally wide so that the source can be read, too."""
    cells = [list(head), *(list(row) for row in rows)]
    widths = [max(3, *(len(row[place]) for row in cells)) for place in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    ruler = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], ruler, *lines[1:]])


def text(figure: Interval | None, digits: int = 3) -> str:
    """`.962 [.936, .985]`, nothing where there is no figure."""
    if figure is None or math.isnan(figure.value):
        return ""
    value, low, high = (number(one, digits) for one in (figure.value, figure.low, figure.high))
    return f"{value} [{low}, {high}]" if low else value


def number(value: float, digits: int = 3) -> str:
    """`.962`, `1.000`, `-.012`; nothing for what is not a number."""
    if math.isnan(value):
        return ""
    written = f"{value:.{digits}f}"
    if float(written) == 0:
        written = written.removeprefix("-")
    return written.replace("0.", ".", 1) if abs(float(written)) < 1 else written


def count(figure: Interval | None, of: int) -> str:
    """`13 of 16 [.544, .960]`, from a share."""
    if figure is None or math.isnan(figure.value):
        return ""
    return f"{round(figure.value * of)} of {of} [{number(figure.low)}, {number(figure.high)}]"

"""Says what a collection holds and what was refused, as a table for people or as JSON."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from model_training.collection import Split
from model_training.prepare.assembly import Entry
from model_training.prepare.preparation import Outcome

_CLASSES = {True: "abnormal", False: "normal", None: "unknown"}


def as_json(outcome: Outcome, out: Path) -> str:
    """One JSON document with every count and every refusal."""
    document = {
        "collection": str(out),
        "kind": outcome.kind,
        "accepted": _accepted(outcome.entries),
        "refused": dict(Counter(refusal.why for refusal in outcome.refusals).most_common()),
        "refusals": [asdict(refusal) for refusal in outcome.refusals],
        "notes": outcome.notes,
    }
    return json.dumps(document, indent=2)


def show(outcome: Outcome, console: Console) -> None:
    """Print the tables and the notes; text from the source is never read as markup."""
    _say(console, f"Read as {outcome.kind}.")
    for note in outcome.notes:
        _say(console, note)
    if outcome.entries:
        console.print(_accepted_table(outcome.entries))
    if outcome.refusals:
        console.print(_refused_table(outcome))


def _accepted(entries: Iterable[Entry]) -> list[dict[str, object]]:
    """Counts for each split and class that has any, in the order of the splits."""
    cells: dict[tuple[Split, bool | None], list[Entry]] = {}
    for entry in entries:
        cells.setdefault((entry.split, entry.accepted.abnormal), []).append(entry)
    return [
        {
            "split": split.value,
            "class": name,
            "subjects": len(cell),
            "groups": len({entry.group for entry in cell}),
            "with_lesion_mask": sum(entry.accepted.lesion_digest is not None for entry in cell),
        }
        for split in Split
        for answer, name in _CLASSES.items()
        if (cell := cells.get((split, answer)))
    ]


def _accepted_table(entries: Iterable[Entry]) -> Table:
    table = Table(title="Accepted", title_justify="left", header_style="bold")
    for column in ("split", "class", "subjects", "groups", "with lesion mask"):
        table.add_column(column, justify="left" if column in ("split", "class") else "right")
    for row in _accepted(entries):
        table.add_row(*(str(value) for value in row.values()))
    return table


def _refused_table(outcome: Outcome) -> Table:
    """One line for each kind of reason, with the first sentence of that kind."""
    table = Table(title="Not taken", title_justify="left", header_style="bold")
    table.add_column("why", no_wrap=True)
    table.add_column("count", justify="right")
    table.add_column("for example", overflow="fold")
    first = {refusal.why: refusal for refusal in reversed(outcome.refusals)}
    for why, count in Counter(refusal.why for refusal in outcome.refusals).most_common():
        example = first[why]
        table.add_row(why.value, str(count), Text(f"{example.source}: {example.reason}"))
    return table


def _say(console: Console, sentence: str) -> None:
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)

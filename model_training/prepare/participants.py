"""Who is abnormal by the `participants.tsv` of a BIDS folder."""

import csv
from pathlib import Path

from agent.errors import UnreadableInput
from model_training.prepare.classes import FolderClasses

FILE_NAME = "participants.tsv"
_COLUMNS = ("abnormal", "group", "diagnosis", "dx", "pathology", "label")


def read(source: Path, classes: FolderClasses) -> dict[str, bool]:
    """Subject (`sub-01`) to whether it is abnormal, for those of whom the table says it."""
    table = source / FILE_NAME
    if not table.is_file():
        return {}
    try:
        with table.open(newline="", encoding="utf-8-sig") as handle:
            rows = list(csv.DictReader(handle, delimiter="\t", restval=""))
    except (csv.Error, UnicodeDecodeError) as error:
        raise UnreadableInput(f"{table} cannot be read as a table: {error}.") from error
    said = {row.get("participant_id", ""): _answer(row, classes) for row in rows}
    return {subject: answer for subject, answer in said.items() if answer is not None}


def _answer(row: dict[str, str], classes: FolderClasses) -> bool | None:
    answers = (classes.of(row.get(column, "")) for column in _COLUMNS)
    return next((answer for answer in answers if answer is not None), None)

"""Compares evaluated runs from what their evaluations kept: no image is read, no model run."""

from collections.abc import Sequence
from pathlib import Path

from model_training.collection import Split
from model_training.evaluation import comparison, scoresheets
from model_training.evaluation.cohort_tables import DIFFERENCE_COLUMNS
from model_training.evaluation.comparison import Difference
from model_training.evaluation.examine import MODEL
from model_training.evaluation.resampling import DRAWS
from model_training.evaluation.scoresheets import Scoresheet
from model_training.evaluation.tables import number, table, text


def compare(
    ours: Sequence[Path],
    theirs: Sequence[Path],
    *,
    collection: str,
    split: str = Split.TEST,
    our_row: str = MODEL,
    their_row: str = MODEL,
) -> str:
    """A Markdown table of paired differences: runs of one kind (one a seed) less those of another.

    `our_row` and `their_row` are ways of scoring, so that a run can also meet its own baseline.
    """
    first = [sheet(folder, collection, split, our_row) for folder in ours]
    second = [sheet(folder, collection, split, their_row) for folder in theirs]
    found = comparison.compare(first, second)
    names = (
        f"{', '.join(folder.name for folder in ours)} ({our_row})",
        f"{', '.join(folder.name for folder in theirs)} ({their_row})",
    )
    patients = len(first[0].patients)
    return (
        f"{names[0]} less {names[1]}, {collection} {split}, {patients} patients. Means over seeds; "
        f"brackets: 95 % of {DRAWS} draws of patients, the same for both.\n\n{lines(found, names)}"
    )


def sheet(run_folder: Path, collection: str, split: str, row: str) -> Scoresheet:
    """One way of scoring as a run's evaluation kept it."""
    path = scoresheets.path_of(run_folder / f"evaluation_{Split(split)}", collection)
    kept = scoresheets.load(path)
    if row not in kept:
        raise ValueError(f'{path} knows no way of scoring "{row}", only {", ".join(kept)}.')
    return kept[row]


def lines(found: Sequence[Difference], names: tuple[str, str]) -> str:
    """One line a figure, every seed's value shown."""
    rows = [
        [
            DIFFERENCE_COLUMNS[one.figure],
            ", ".join(number(value) for value in one.ours),
            ", ".join(number(value) for value in one.theirs),
            text(one.difference),
        ]
        for one in found
    ]
    return table(["figure", *names, "difference"], rows)

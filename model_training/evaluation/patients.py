"""What patients are called where others may read it: numbers, with the key kept beside the run.

A report goes wherever its model goes, so it must hold no name that leads back to a patient, and a
folder's name may be one. The number is the place in the whole collection, so that runs on the same
collection speak of the same patient.
"""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from model_training.collection import Member

FILE_NAME = "patients.csv"


def numbered(listed: Iterable[Member]) -> dict[str, str]:
    """From a subject's name to `patient 1`, `patient 2` and so on, in the collection's order."""
    return {member.name: f"patient {place}" for place, member in enumerate(listed, start=1)}


def save(path: Path, collection: str, numbers: Mapping[str, str]) -> None:
    """Writes who is who."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        rows = csv.writer(handle, lineterminator="\n")
        rows.writerow(["collection", "patient", "subject"])
        rows.writerows([collection, number, name] for name, number in numbers.items())

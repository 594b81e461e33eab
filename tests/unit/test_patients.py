"""What patients are called where others may read it."""

import csv
from pathlib import Path

from model_training import collection
from model_training.collection import Split
from model_training.evaluation import patients


def write_collection(folder: Path) -> Path:
    """Three named patients in two splits, without images."""
    rows = ["Roe_Anna,test", "Doe_Jane,calibration", "Doe_John,test"]
    folder.mkdir()
    (folder / "split.csv").write_text("\n".join(["subject,split", *rows]) + "\n", encoding="utf-8")
    return folder


def test_a_patient_has_the_same_number_whatever_is_evaluated(tmp_path: Path) -> None:
    listed = collection.members(write_collection(tmp_path / "ward"))
    numbers = patients.numbered(listed)
    tested = [numbers[one.name] for one in collection.of_split(listed, Split.TEST)]
    assert tested == ["patient 1", "patient 3"]


def test_the_key_says_who_is_who(tmp_path: Path) -> None:
    listed = collection.members(write_collection(tmp_path / "ward"))
    key = tmp_path / patients.FILE_NAME
    patients.save(key, "ward", patients.numbered(listed))
    with key.open(newline="", encoding="utf-8") as handle:
        found = {
            row["patient"]: (row["collection"], row["subject"]) for row in csv.DictReader(handle)
        }
    assert found["patient 2"] == ("ward", "Doe_Jane")
    assert len(found) == 3

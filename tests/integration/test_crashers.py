"""Every data set that once ended something, kept as a file: it never does so again.

A new one comes from `tests/benchmarks/fuzz_datasets.py --keep FOLDER`.
"""

import random
import warnings
from pathlib import Path

import pytest
from pydicom.uid import UID

import encoded_images
import mutations
import whole_reading
from agent.dicom import part10
from encoded_images import Encoded

CRASHERS = sorted((Path(__file__).parents[1] / "data" / "crashers").glob("*.dcm"))
FEW = 60


def kept(path: Path) -> Encoded:
    file = part10.parse(path.read_bytes())
    return Encoded(content=bytes(file.encoded), syntax=file.transfer_syntax_uid)


@pytest.mark.parametrize("path", CRASHERS, ids=lambda path: path.stem)
def test_the_front_door_refuses_it(path: Path, tmp_path: Path) -> None:
    assert whole_reading.outcome([kept(path)], tmp_path) == "refused at the door"


@pytest.mark.parametrize("path", CRASHERS, ids=lambda path: path.stem)
def test_a_file_that_never_saw_the_door_stops_nothing_either(path: Path, tmp_path: Path) -> None:
    found = whole_reading.behind_the_door([kept(path)], tmp_path, report=True)
    assert found == "headers not readable"


def test_a_few_damaged_data_sets_are_refused_or_read(tmp_path: Path) -> None:
    """The small version of the benchmark; none of them has to start a decoder."""
    every = encoded_images.every_series()
    plain = [series for series in every if not UID(series[0].syntax).is_encapsulated]
    found = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(FEW):
            chance = random.Random(seed)
            image = mutations.mutated(chance.choice(plain)[0], chance)
            found.add(whole_reading.outcome([image], tmp_path, report=seed % 4 == 0))
    assert {"refused at the door", "read"} <= found

"""The hand-checked brain masks: whole, and in place on the images they were drawn on."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

import brain_mask_set
from brain_mask_set import Entry, Level, Sequence

ENTRIES = brain_mask_set.entries()


def test_every_mask_has_one_bit_per_pixel_and_one_row_in_the_index() -> None:
    files = sorted(brain_mask_set.FOLDER.glob("*.png"))
    assert [file.name for file in files] == sorted(entry.mask_file for entry in ENTRIES)
    assert {mode(file) for file in files} == {"1"}


def test_the_set_shows_every_level_and_every_sequence() -> None:
    levels = Counter(entry.level for entry in ENTRIES)
    sequences = Counter(entry.sequence for entry in ENTRIES)
    assert len(ENTRIES) >= 60
    assert min(levels[level] for level in Level) >= 10
    assert min(sequences[sequence] for sequence in Sequence) >= 6


def test_no_slice_comes_from_the_test_split(shared_data: Path) -> None:
    rows = (shared_data / "lgg_flair" / "split.csv").read_text().split()
    calibration = {row.split(",")[0] for row in rows if row.endswith(",calibration")}
    patients = {entry.subject for entry in ENTRIES if entry.collection == "lgg_flair"}
    assert patients <= calibration


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: str(entry.mask_file)[:-4])
def test_a_mask_fits_its_image_and_lies_inside_the_head(shared_data: Path, entry: Entry) -> None:
    case = brain_mask_set.load(entry, shared_data)
    image = case.voxels[case.slice_index]
    assert case.mask.shape == image.shape
    assert case.mask.any()
    assert (case.mask & head(image)).sum() > 0.99 * case.mask.sum()


def mode(file: Path) -> str:
    """The pixel format of a picture."""
    with Image.open(file) as image:
        return image.mode


def head(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """What is no air, its holes filled; air is the usual value of the outermost rows."""
    bright = image - np.median(image[[0, -1]])
    shown = bright > 0.05 * np.percentile(bright, 99)
    shown = ndimage.binary_closing(np.pad(shown, 4), iterations=3)[4:-4, 4:-4]
    return np.asarray(ndimage.binary_fill_holes(shown))

"""Images in two classes, and what is left of one after it was framed."""

from pathlib import Path

import numpy as np
import pytest

import drawn_images
from model_training.image_sets import image_set

CHANCE_SEED = 2


@pytest.fixture
def picture() -> np.ndarray:
    return drawn_images.head(np.random.default_rng(CHANCE_SEED), size=128)


def test_images_of_unknown_class_are_left_out(tmp_path: Path, picture: np.ndarray) -> None:
    for name in ("a", "b", "c"):
        drawn_images.write_subject(tmp_path, name, picture)
    drawn_images.write_table(tmp_path, ["a,1,train,yes", "b,2,test,no", "c,3,test,unknown"])
    found = image_set.read(tmp_path)
    assert found.abnormal.tolist() == [True, False]
    assert found.groups.tolist() == ["1", "2"]


def test_an_image_is_read_as_it_was_stored(tmp_path: Path, picture: np.ndarray) -> None:
    drawn_images.write_subject(tmp_path, "a", picture)
    drawn_images.write_subject(tmp_path, "b", picture)
    drawn_images.write_table(tmp_path, ["a,1,train,yes", "b,2,test,no"])
    expected = (picture - picture.min()) / np.ptp(picture)
    assert image_set.read(tmp_path).images[0] == pytest.approx(expected, abs=1e-5)


def test_a_set_of_one_class_is_refused(tmp_path: Path, picture: np.ndarray) -> None:
    drawn_images.write_subject(tmp_path, "a", picture)
    drawn_images.write_table(tmp_path, ["a,1,train,yes"])
    with pytest.raises(ValueError, match="no normal subjects"):
        image_set.read(tmp_path)


def test_a_wide_image_keeps_its_shape_between_black_margins() -> None:
    wide = np.ones((100, 200), dtype=np.float32)
    wide[0, 0] = 0.0
    fitted = image_set.fitted(wide, 64)
    assert fitted[:14].max() == 0
    assert fitted[18:46, 2:-2].min() > 0.9
    assert fitted[50:].max() == 0


def test_a_frame_around_the_image_is_not_part_of_the_head(picture: np.ndarray) -> None:
    plain = image_set.head_mask(picture)
    picture[[2, -3], :] = 1.0
    picture[:, [2, -3]] = 1.0
    assert np.mean(image_set.head_mask(picture) != plain) < 0.01


def test_an_empty_image_is_all_head() -> None:
    assert image_set.head_mask(np.zeros((32, 32), dtype=np.float32)).all()


def test_framing_takes_away_size_place_and_brightness(picture: np.ndarray) -> None:
    half = np.zeros_like(picture)
    half[40:104, 10:74] = 0.3 * picture[::2, ::2]
    one, _ = image_set.framed(picture, image_set.head_mask(picture))
    other, _ = image_set.framed(half, image_set.head_mask(half))
    assert np.mean(np.abs(one - other)) < 0.03


def test_framing_blackens_what_is_written_beside_the_head(picture: np.ndarray) -> None:
    mask = image_set.head_mask(picture)
    framed, inside = image_set.framed(np.where(mask, picture, 1.0), mask)
    assert framed[~inside].max() == 0

"""The pictures take the grey window of the source where that shows the head."""

import numpy as np
import pytest

import builders
from agent.imaging import window
from agent.imaging.window import Window

GOOD = Window(black=0.0, white=640.0)


@pytest.fixture(scope="module")
def voxels() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return builders.volume(builders.flair_series(slices=12)).voxels


Voxels = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def test_the_stated_window_is_taken(voxels: Voxels) -> None:
    assert window.choose(voxels, [GOOD]) == GOOD


@pytest.mark.parametrize(
    "useless",
    [
        pytest.param(Window(black=-10.0, white=200.0), id="all tissue white"),
        pytest.param(Window(black=0.0, white=65535.0), id="all black"),
        pytest.param(Window(black=-32000.0, white=33000.0), id="one flat grey"),
        pytest.param(Window(black=-3000.0, white=700.0), id="white air"),
        pytest.param(Window(black=100.0, white=100.0), id="no width"),
    ],
)
def test_a_window_that_shows_nothing_is_passed_over(voxels: Voxels, useless: Window) -> None:
    assert window.choose(voxels, [useless, GOOD]) == GOOD


def test_without_a_window_the_head_decides(voxels: Voxels) -> None:
    fitted = window.choose(voxels, [])
    assert fitted.black == pytest.approx(np.percentile(voxels, 1.0), abs=5.0)
    assert fitted.white == pytest.approx(680.0, abs=15.0)


def test_a_fitted_window_of_an_even_image_has_a_width() -> None:
    for value in (0.0, 5.0, 1e6):
        fitted = window.choose(np.full((3, 8, 8), value, dtype=np.float32), [])
        assert fitted.white > fitted.black


@pytest.mark.parametrize(("value", "grey"), [(-5, 0), (0, 0), (320, 128), (640, 255), (900, 255)])
def test_a_linear_window_rises_evenly(value: float, grey: int) -> None:
    assert GOOD.levels(np.array([value], dtype=np.float32))[0] == grey


def test_a_sigmoid_window_follows_the_standard() -> None:
    """PS3.3 C.11.2.1.3.1: y = range / (1 + exp(-4 (x - c) / w))."""
    values = np.linspace(-400.0, 1200.0, 33, dtype=np.float32)
    soft = Window(black=100.0, white=500.0, sigmoid=True)
    expected = 1.0 / (1.0 + np.exp(-4.0 * (values - 300.0) / 400.0))
    np.testing.assert_allclose(soft.shares(values), expected, atol=1e-5)

"""Windows of the source: classic and enhanced, several, soft, inverted, or none."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

import builders
from agent.dicom import pixels, windows
from agent.dicom.frames import Frame
from agent.imaging.window import Window


def stated(series: list[Dataset]) -> tuple[Window, ...]:
    return windows.stated(builders.source(series))


def windowed(**values: object) -> list[Dataset]:
    series = builders.flair_series(slices=3, rows=16, columns=16)
    for dataset in series:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
    return series


def test_the_linear_window_is_the_default() -> None:
    """PS3.3 C.11.2.1.2.1: black up to c - 0.5 - (w - 1) / 2."""
    assert stated(windowed()) == (Window(black=0.0, white=639.0),)


def test_the_exact_window_reaches_half_its_width_to_both_sides() -> None:
    assert stated(windowed(VOILUTFunction="LINEAR_EXACT")) == (Window(black=0.0, white=640.0),)


def test_the_sigmoid_is_kept() -> None:
    (soft,) = stated(windowed(VOILUTFunction="SIGMOID"))
    assert soft == Window(black=0.0, white=640.0, sigmoid=True)


def test_of_several_windows_the_first_is_preferred() -> None:
    series = windowed(WindowCenter=["300.5", "500.5"], WindowWidth=["201", "401"])
    assert stated(series) == (Window(black=200.0, white=400.0), Window(black=300.0, white=700.0))


def test_windows_that_change_from_slice_to_slice_become_one() -> None:
    series = windowed()
    for dataset, centre in zip(series, ("300.5", "320.5", "900.5"), strict=True):
        dataset.WindowCenter, dataset.WindowWidth = centre, "401"
    assert stated(series) == (Window(black=120.0, white=520.0),)


def test_an_enhanced_image_keeps_its_window_in_a_functional_group() -> None:
    enhanced = builders.enhanced_flair(slices=3, rows=16, columns=16)
    assert stated([enhanced]) == (Window(black=0.0, white=639.0),)
    soft = enhanced.SharedFunctionalGroupsSequence[0].FrameVOILUTSequence[0]
    soft.VOILUTFunction = "SIGMOID"
    assert stated([enhanced]) == (Window(black=0.0, white=640.0, sigmoid=True),)


def test_a_frame_may_have_its_own_window() -> None:
    enhanced = builders.enhanced_flair(slices=3, rows=16, columns=16)
    for group in enhanced.PerFrameFunctionalGroupsSequence:
        own = Dataset()
        own.WindowCenter, own.WindowWidth = "100.5", "101"
        group.FrameVOILUTSequence = [own]
    assert stated([enhanced]) == (Window(black=50.0, white=150.0),)


@pytest.mark.parametrize("keyword", ["WindowCenter", "WindowWidth"])
def test_without_a_window_there_is_none(keyword: str) -> None:
    series = windowed()
    for dataset in series:
        del dataset[keyword]
    assert stated(series) == ()


def test_the_window_of_a_monochrome1_image_is_turned_round_with_its_values() -> None:
    series = windowed(
        PhotometricInterpretation="MONOCHROME1", RescaleSlope="2", RescaleIntercept="-10"
    )
    (window,) = stated(series)
    stored = series[1].pixel_array.astype(np.float32)
    shown = (2 * stored - 10) / 639.0  # share of white that the header asks for, inverted
    (read,) = pixels.read([Frame(series[1])])
    np.testing.assert_allclose(window.shares(read), 1 - np.clip(shown, 0, 1), atol=2e-3)

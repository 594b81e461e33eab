"""The heatmap shows what the model said: colour where the map passes, nothing where not."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

import builders
from agent.imaging import colours, render
from agent.imaging.render import Painter
from agent.imaging.results import Findings
from agent.imaging.volume import Volume
from agent.imaging.window import Window


@pytest.fixture(scope="module")
def volume() -> Volume:
    return builders.volume(builders.flair_series(slices=12, rows=64, columns=64))


@pytest.fixture(scope="module")
def findings(volume: Volume) -> Findings:
    return builders.findings(volume)


def coloured(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(np.ptp(picture.astype(int), axis=-1) > 12)


def drawn(volume: Volume, findings: Findings, index: int) -> NDArray[np.uint8]:
    return Painter(volume, findings).draw(index)


def marked(volume: Volume, findings: Findings, index: int) -> NDArray[np.uint8]:
    """The picture without texts and legend."""
    return np.asarray(Painter(volume, findings).marked(index))


def test_a_slice_below_the_threshold_stays_grey_apart_from_the_legend(
    volume: Volume, findings: Findings
) -> None:
    assert findings.anomaly_map[0].max() < findings.pixel_threshold
    assert not coloured(marked(volume, findings, 0)).any()
    where = np.argwhere(coloured(drawn(volume, findings, 0)))
    legend = Painter(volume, findings).annotation.slots["legend"]
    assert len(where)
    assert (where >= (legend.top, legend.left)).all()


def test_colour_lies_where_the_map_passes_the_threshold(volume: Volume, findings: Findings) -> None:
    index = findings.regions[0].slice_index
    seen = coloured(marked(volume, findings, index))[4::8, 4::8]
    above = findings.anomaly_map[index] > findings.pixel_threshold
    assert seen[above].all()
    assert abs(int(seen.sum()) - int(above.sum())) <= 0.4 * above.sum()


def test_the_outline_lies_outside_the_lesion(volume: Volume, findings: Findings) -> None:
    index = findings.regions[0].slice_index
    flat = replace(findings, anomaly_map=np.zeros_like(findings.anomaly_map))
    line = coloured(marked(volume, flat, index))
    inside = np.kron(findings.labels[index] > 0, np.ones((8, 8), dtype=bool))
    centres = line[4::8, 4::8] & (findings.labels[index] > 0)
    assert line.any()
    assert not centres.any()
    assert not (line & ndimage.binary_erosion(inside, iterations=5)).any()


def test_the_source_shows_through_the_colours(volume: Volume, findings: Findings) -> None:
    index = findings.regions[0].slice_index
    bright = replace(volume, voxels=volume.voxels * (1 + np.indices(volume.voxels.shape)[2] % 2))
    window = Window(black=0.0, white=1400.0)
    even, striped = (
        np.asarray(Painter(one, findings, windows=[window]).marked(index)).astype(int)
        for one in (volume, bright)
    )
    inside = np.kron(findings.labels[index] > 0, np.ones((8, 8), dtype=bool))
    assert np.abs(even - striped)[inside].max() > 20


def test_colours_grow_lighter_evenly_so_that_they_read_in_grey() -> None:
    linear = (colours.colours(np.linspace(0, 1, 41)) / 255.0) ** 2.2
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    lightness = 116 * np.cbrt(luminance) - 16
    steps = np.diff(lightness)
    assert steps.min() > 0.5 * steps.mean()
    assert steps.max() < 1.8 * steps.mean()


@pytest.mark.parametrize(("ground", "least"), [(60, 25.0), (90, 25.0), (160, 20.0)])
def test_laid_over_tissue_the_colours_still_grow_lighter(ground: int, least: float) -> None:
    seen = np.asarray(colours.ramp(200, 1, ground))[0] / 255.0
    lightness = 116 * np.cbrt(seen**2.2 @ (0.2126, 0.7152, 0.0722)) - 16
    assert np.diff(lightness[::10]).min() > 0
    assert lightness[-1] - lightness[0] > least


@pytest.mark.parametrize(
    ("rows", "columns", "spacing_mm", "times"),
    [
        (64, 64, (3.4, 3.4), (8, 8)),
        (256, 256, (1.0, 1.0), (2, 2)),
        (512, 512, (0.5, 0.5), (1, 1)),
        (288, 288, (0.8, 0.8), (2, 2)),
        (320, 260, (0.7, 0.7), (2, 2)),
        (16, 16, (12.0, 12.0), (32, 32)),
        (128, 64, (1.0, 2.0), (4, 8)),
        (64, 256, (4.0, 1.0), (8, 2)),
        (256, 64, (1.0, 1.0), (4, 4)),
    ],
)
def test_slices_are_enlarged_whole_times_until_texts_can_be_read_and_pixels_are_squares(
    rows: int, columns: int, spacing_mm: tuple[float, float], times: tuple[int, int]
) -> None:
    assert render.enlargement(rows, columns, spacing_mm) == times


def test_pictures_have_a_multiple_of_the_slice_size(volume: Volume, findings: Findings) -> None:
    assert drawn(volume, findings, 3).shape == (512, 512, 3)


def test_texts_and_marking_are_burned_in(volume: Volume, findings: Findings) -> None:
    index = findings.regions[0].slice_index
    plain, labelled = marked(volume, findings, index), drawn(volume, findings, index)
    assert (plain[:40] != labelled[:40]).any()
    assert labelled[-36:, :200].max() > 200  # the research marking is always there


def test_an_even_image_and_an_empty_map_can_be_drawn() -> None:
    volume = builders.volume(builders.flair_series(slices=3, rows=32, columns=32))
    flat = replace(volume, voxels=np.full_like(volume.voxels, 5.0))
    silent = replace(builders.findings(volume, abnormal=False), pixel_threshold=0.0)
    assert drawn(flat, silent, 1).shape == (512, 512, 3)


def test_a_picture_does_not_depend_on_those_drawn_before(
    volume: Volume, findings: Findings
) -> None:
    painter = Painter(volume, findings)
    for index in (6, 0, 11, 6):
        np.testing.assert_array_equal(painter.draw(index), drawn(volume, findings, index))


def test_the_grey_of_a_value_is_the_same_on_all_slices(volume: Volume, findings: Findings) -> None:
    voxels = np.broadcast_to(volume.voxels[6], volume.voxels.shape).copy()
    voxels[3] *= 0.5
    painter = Painter(replace(volume, voxels=voxels), builders.findings(volume, abnormal=False))
    np.testing.assert_array_equal(np.asarray(painter.plain(0)), np.asarray(painter.plain(11)))
    assert np.asarray(painter.plain(3)).mean() < 0.6 * np.asarray(painter.plain(0)).mean()

"""The heatmap shows what the model said: colour where the map passes, nothing where not."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import builders
from agent.imaging import render
from agent.imaging.results import Findings
from agent.imaging.volume import Volume


@pytest.fixture(scope="module")
def volume() -> Volume:
    return builders.volume(builders.flair_series(slices=12, rows=64, columns=64))


@pytest.fixture(scope="module")
def findings(volume: Volume) -> Findings:
    return builders.findings(volume)


def coloured(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(np.ptp(picture.astype(int), axis=-1) > 12)


def drawn(volume: Volume, findings: Findings, index: int, factor: int) -> NDArray[np.uint8]:
    return render.overlay(
        volume.voxels[index],
        findings.anomaly_map[index],
        findings.labels[index],
        scale=render.scale_of(volume.voxels, findings),
        title="",
        reading="",
        factor=factor,
    )


def test_a_slice_below_the_threshold_stays_grey_apart_from_the_legend(
    volume: Volume, findings: Findings
) -> None:
    picture = drawn(volume, findings, 0, 8)
    assert findings.anomaly_map[0].max() < findings.pixel_threshold
    assert not coloured(picture)[:, :400].any()
    assert coloured(picture)[:, 400:].any()


def test_colour_lies_where_the_map_passes_the_threshold(volume: Volume, findings: Findings) -> None:
    index = findings.regions[0].slice_index
    seen = coloured(drawn(volume, findings, index, 8))[4::8, 4::8]
    above = findings.anomaly_map[index] > findings.pixel_threshold
    assert seen[above].all()
    assert abs(int(seen[:, :50].sum()) - int(above.sum())) <= 0.4 * above.sum()


def test_the_outline_lies_outside_the_lesion(volume: Volume, findings: Findings) -> None:
    index = findings.regions[0].slice_index
    flat = replace(findings, anomaly_map=np.zeros_like(findings.anomaly_map))
    line = coloured(drawn(volume, flat, index, 8))[4::8, 4::8][:, :50]
    assert not (line & (findings.labels[index][:, :50] > 0)).any()


def test_colours_grow_lighter_evenly_so_that_they_read_in_grey() -> None:
    linear = (render.colours(np.linspace(0, 1, 41)) / 255.0) ** 2.2
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    lightness = 116 * np.cbrt(luminance) - 16
    steps = np.diff(lightness)
    assert steps.min() > 0.5 * steps.mean()
    assert steps.max() < 1.8 * steps.mean()


@pytest.mark.parametrize(
    ("rows", "columns", "factor"), [(64, 64, 8), (256, 256, 2), (512, 512, 1), (288, 288, 2)]
)
def test_small_slices_are_enlarged_a_whole_number_of_times(
    rows: int, columns: int, factor: int
) -> None:
    assert render.enlargement(rows, columns) == factor


def test_enlarged_pictures_have_a_multiple_of_the_slice_size(
    volume: Volume, findings: Findings
) -> None:
    assert drawn(volume, findings, 3, 5).shape == (320, 320, 3)


def test_texts_and_marking_are_burned_in(volume: Volume, findings: Findings) -> None:
    index = findings.regions[0].slice_index
    plain = drawn(volume, findings, index, 8)
    labelled = render.overlay(
        volume.voxels[index],
        findings.anomaly_map[index],
        findings.labels[index],
        scale=render.scale_of(volume.voxels, findings),
        title="a title",
        reading=render.reading(findings, index),
        factor=8,
    )
    assert (plain[:40] != labelled[:40]).any()
    assert plain[-30:, :200].max() > 200  # the research marking is always there


def test_an_even_image_and_an_empty_map_can_be_drawn() -> None:
    volume = builders.volume(builders.flair_series(slices=3, rows=32, columns=32))
    flat = replace(volume, voxels=np.full_like(volume.voxels, 5.0))
    silent = replace(builders.findings(volume, abnormal=False), pixel_threshold=0.0)
    assert drawn(flat, silent, 1, 4).shape == (128, 128, 3)


def test_the_sheet_shows_the_most_anomalous_slices_in_true_proportions() -> None:
    series = builders.flair_series(slices=6, rows=64, columns=32, spacing_mm=(20.0, 3.0, 3.0))
    volume = builders.volume(series)
    page = render.sheet(volume, builders.findings(volume), heading="study", count=3)
    assert page.shape == (2 * 400 + 2 * 44, 3 * 200 + 2 * 44, 3)
    assert coloured(page)[444:].sum() > 3 * coloured(page)[:444].sum()


@pytest.mark.parametrize(("mass_like", "words"), [(True, "mass-like"), (False, "white matter")])
def test_the_title_says_which_slice_it_is_and_what_the_regions_look_like(
    volume: Volume, mass_like: bool, words: str
) -> None:
    title = render.title(builders.findings(volume, mass_like=mass_like), 4)
    assert "slice 5/12" in title
    assert title.endswith(f"pattern: {words}")

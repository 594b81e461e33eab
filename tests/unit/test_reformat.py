"""Thin volumes of any plane are read as axial ones, and the findings come back to their grid."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import answers
import builders
import results
from agent.imaging import reformat
from agent.imaging.results import Findings
from agent.imaging.volume import Volume
from phantom import LESION_CENTRE_MM, PLANES

THIN = (2.0, 2.0, 2.0)


def thin(plane: str, slices: int = 70, size: int = 90) -> Volume:
    series = builders.flair_series(
        slices=slices, rows=size, columns=size, spacing_mm=THIN, plane=PLANES[plane]
    )
    return builders.volume(series)


def points_mm(labels: NDArray[np.uint16], volume: Volume) -> NDArray[np.float64]:
    return results.points_mm(labels > 0, volume.affine)


@pytest.mark.parametrize("plane", ["sagittal", "coronal"])
def test_the_voxels_are_the_same_at_the_same_place(plane: str) -> None:
    volume = thin(plane)
    axial = reformat.axial(volume)
    assert reformat.slice_axis(axial) == 0
    assert sorted(axial.voxels.shape) == sorted(volume.voxels.shape)
    bright = [one.voxels > 600 for one in (volume, axial)]
    np.testing.assert_allclose(
        results.points_mm(bright[0], volume.affine), results.points_mm(bright[1], axial.affine)
    )


def test_an_axial_volume_is_left_as_it_is() -> None:
    volume = thin("axial")
    assert reformat.axial(volume) is volume


def test_a_volume_of_thick_slices_is_left_as_it_is() -> None:
    thick = builders.volume(builders.flair_series(plane=PLANES["sagittal"]))
    assert reformat.axial(thick) is thick


@pytest.mark.parametrize("plane", ["sagittal", "coronal"])
def test_findings_come_back_to_the_grid_of_the_source(plane: str) -> None:
    volume = thin(plane)
    axial = reformat.axial(volume)
    found = answers.findings(axial)
    back = reformat.on_source(found, volume)
    assert back.labels.shape == volume.voxels.shape
    assert len(back.slice_scores) == len(back.slice_p_values) == len(volume.voxels)
    np.testing.assert_allclose(points_mm(found.labels, axial), points_mm(back.labels, volume))
    lesion = back.regions[0]
    assert lesion.centroid_mm == pytest.approx(LESION_CENTRE_MM, abs=1.0)
    areas = (back.labels == 1).sum(axis=(1, 2))
    assert areas[lesion.slice_index] == areas.max()
    assert back.slice_anomalous.tolist() == back.labels.any(axis=(1, 2)).tolist()


def test_a_slice_gets_the_score_of_the_planes_it_crosses_marked() -> None:
    volume = thin("sagittal")
    found = answers.findings(reformat.axial(volume))
    back = reformat.on_source(found, volume)
    through_lesion = back.regions[0].slice_index
    assert back.slice_scores[through_lesion] == found.slice_scores.max()
    assert back.slice_p_values[through_lesion] == found.slice_p_values.min()
    assert back.slice_scores[0] == found.slice_scores.min()


def test_without_a_mark_every_slice_gets_the_lowest_score() -> None:
    volume = thin("coronal")
    found: Findings = answers.findings(reformat.axial(volume), abnormal=False)
    scored = replace(found, slice_scores=np.linspace(1, 2, len(found.slice_scores)))
    assert set(reformat.on_source(scored, volume).slice_scores) == {1.0}

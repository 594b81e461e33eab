"""Which regions count, and their measures."""

import numpy as np
import pytest

from agent.imaging import findings
from agent.imaging.findings import Thresholds
from agent.imaging.volume import Volume

THRESHOLDS = Thresholds(pixel=0.1, slice=1.0, minimum_volume_ml=0.5, version="test")
ALL = np.ones(10, dtype=np.bool_)


def volume() -> Volume:
    """10 x 64 x 64 voxels of 5 x 1 x 1 mm, the first one at (-32, -32, 100) mm."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = 5.0, 1.0, 1.0
    affine[:, 3] = (-32.0, -32.0, 100.0, 1.0)
    voxels = np.zeros((10, 64, 64), dtype=np.float32)
    return Volume(voxels=voxels, affine=affine, sources=tuple(str(i) for i in range(10)))


def raised(*boxes: tuple[slice, slice, slice]) -> np.ndarray:
    """A map that is 0.3 inside the boxes."""
    values = np.zeros((10, 64, 64), dtype=np.float32)
    for box in boxes:
        values[box] = 0.3
    return values


def test_regions_are_numbered_by_falling_volume_and_measured_in_patient_space() -> None:
    small = np.s_[7:8, 50:60, 5:16]
    large = np.s_[2:5, 10:31, 20:41]
    values = raised(small, large)
    values[3, 20, 30] = 0.9
    labels, regions = findings.regions(values, ALL, volume(), THRESHOLDS)
    assert [region.number for region in regions] == [1, 2]
    assert regions[0].volume_ml == pytest.approx(3 * 21 * 21 * 0.005)
    assert regions[0].centroid_mm == pytest.approx((-2.0, -12.0, 115.0))
    assert regions[0].peak_score == pytest.approx(0.9)
    assert regions[0].diameter_mm == pytest.approx(20 * 2**0.5 + 1)
    assert (labels[large] == 1).all()
    assert (labels[small] == 2).all()
    assert regions[1].slice_index == 7
    assert (labels > 0).sum() == 3 * 21 * 21 + 110


def test_a_region_below_the_minimum_volume_is_left_out() -> None:
    labels, regions = findings.regions(raised(np.s_[4:5, 10:19, 10:20]), ALL, volume(), THRESHOLDS)
    assert regions == ()
    assert not labels.any()


def test_a_region_counts_only_if_it_touches_an_anomalous_slice() -> None:
    values = raised(np.s_[2:5, 10:31, 20:41], np.s_[7:9, 10:31, 20:41])
    anomalous = np.zeros(10, dtype=np.bool_)
    anomalous[4] = True
    labels, regions = findings.regions(values, anomalous, volume(), THRESHOLDS)
    assert len(regions) == 1
    assert labels[2:5].any()
    assert not labels[7:9].any()


def test_a_dark_cyst_inside_a_ring_belongs_to_the_region() -> None:
    values = raised(np.s_[4:5, 10:40, 10:40])
    values[4, 15:35, 15:35] = 0.0
    _, regions = findings.regions(values, ALL, volume(), THRESHOLDS)
    assert regions[0].volume_ml == pytest.approx(900 * 0.005)


def test_a_line_of_pixels_has_a_diameter() -> None:
    _, regions = findings.regions(raised(np.s_[1:9, 20:21, 10:35]), ALL, volume(), THRESHOLDS)
    assert regions[0].diameter_mm == pytest.approx(25.0)


def test_nothing_raised_is_no_finding() -> None:
    labels, regions = findings.regions(raised(), ALL, volume(), THRESHOLDS)
    assert regions == ()
    assert labels.dtype == np.uint16

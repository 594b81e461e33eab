"""Labels of the source on the model grid: turned, reduced and cropped like the image."""

import numpy as np
import pytest

from agent.imaging import grids, preprocess, shape
from agent.imaging.grids import Square
from agent.imaging.preprocess import Geometry


@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True)])
@pytest.mark.parametrize("factors", [(1, 1, 1), (3, 2, 2)])
def test_a_region_lies_where_the_image_shows_it(
    flips: tuple[bool, bool, bool], factors: tuple[int, int, int]
) -> None:
    labels = np.zeros((20, 80, 70), dtype=np.uint16)
    labels[4:11, 20:50, 10:31] = 1
    labels[12:18, 40:70, 36:60] = 2
    square = Square(origin=(-3.0, 1.5), step=(1.3, 1.1), size=48)
    geometry = Geometry(
        source_shape=(20, 80, 70),
        axes=(0, 2, 1),
        flips=flips,
        factors=factors,
        square=square,
    )
    found = shape.on_model_grid(labels, geometry)
    for number in (1, 2):
        region = (labels == number).astype(np.float32)
        turned = preprocess.turned(region, geometry.axes, flips)
        shown = grids.sampled(preprocess.reduced(turned, factors), square) > 0.5
        both = (shown & (found == number)).sum()
        assert 2 * both / (shown.sum() + (found == number).sum()) > 0.9


def test_outside_the_source_there_is_no_label() -> None:
    labels = np.ones((2, 10, 10), dtype=np.uint16)
    geometry = Geometry(
        source_shape=(2, 10, 10),
        axes=(0, 1, 2),
        flips=(False, False, False),
        factors=(1, 1, 1),
        square=Square(origin=(-5.0, -5.0), step=(1.0, 1.0), size=20),
    )
    found = shape.on_model_grid(labels, geometry)
    assert found.sum() == 2 * 100
    assert found[0, 5, 5] == 1
    assert found[0, 4, 4] == 0

"""Maps to scores on the model grid."""

import numpy as np
import pytest

import head_phantom
from agent.imaging import preprocess, scoring
from agent.imaging.preprocess import ModelInput
from agent.imaging.scoring import Fusion, Maps


@pytest.fixture(scope="module")
def view() -> ModelInput:
    found = preprocess.prepare(head_phantom.draw().volume, size=64, context=1)
    assert isinstance(found, ModelInput)
    return found


def maps(view: ModelInput, **changed: np.ndarray) -> Maps:
    """Maps of a slice stack where nothing deviates, save what is given."""
    nothing = np.zeros_like(view.slices[:, 0])
    names = ("restoration", "residual", "feature_distance", "residual_z", "feature_z")
    return Maps(**{name: changed.get(name, nothing) for name in names})


def spot(view: ModelInput, index: int) -> np.ndarray:
    """A bright square in one slice."""
    values = np.zeros_like(view.slices[:, 0])
    values[index, 28:36, 28:36] = 1.0
    return values


def test_the_slice_with_the_deviation_scores_highest(view: ModelInput) -> None:
    scores = scoring.score(
        maps(view, residual_z=spot(view, 9)),
        view,
        Fusion(map_feature_weight=0, score_feature_weight=0),
    )
    assert int(np.argmax(scores.slice_scores)) == 9
    assert scores.slice_scores[9] > 2 * scores.slice_scores[8] > 0
    assert scores.slice_scores[3] == 0


def test_the_discriminator_counts_by_its_weights(view: ModelInput) -> None:
    seen = maps(view, feature_distance=spot(view, 9), feature_z=spot(view, 9))
    without = scoring.score(seen, view, Fusion(map_feature_weight=0, score_feature_weight=0))
    halved = scoring.score(seen, view, Fusion(map_feature_weight=0.5, score_feature_weight=0.5))
    whole = scoring.score(seen, view, Fusion(map_feature_weight=1, score_feature_weight=1))
    assert without.anomaly_map.max() == without.slice_scores.max() == 0
    assert whole.anomaly_map.max() == pytest.approx(2 * halved.anomaly_map.max())
    assert whole.slice_scores.max() == pytest.approx(2 * halved.slice_scores.max())


def test_darker_than_restored_is_no_anomaly(view: ModelInput) -> None:
    scores = scoring.score(
        maps(view, residual=-spot(view, 9)),
        view,
        Fusion(map_feature_weight=0, score_feature_weight=0),
    )
    assert scores.anomaly_map.max() == 0


def test_nothing_is_scored_outside_the_brain(view: ModelInput) -> None:
    everywhere = np.ones_like(view.slices[:, 0])
    scores = scoring.score(
        maps(view, residual=everywhere),
        view,
        Fusion(map_feature_weight=0, score_feature_weight=0),
    )
    assert scores.anomaly_map[~view.brain].max() == 0
    assert scores.anomaly_map[12][view.brain[12]].mean() > 0.8


def test_smoothing_follows_the_distance_of_slices_not_their_number() -> None:
    inside = np.ones((9, 4, 4), dtype=np.bool_)
    values = np.zeros((9, 4, 4), dtype=np.float32)
    values[4] = 1.0
    near = scoring.across_slices(values, inside, 3.0)
    far = scoring.across_slices(values, inside, 8.0)
    assert far[4, 0, 0] > near[4, 0, 0]
    assert far[5, 0, 0] < near[5, 0, 0]


def test_p_values_are_split_conformal() -> None:
    reference = [0.1, 0.2, 0.3, 0.4]
    values = scoring.p_values(np.array([0.05, 0.3, 0.35, 9.0]), reference)
    np.testing.assert_allclose(values, [1.0, 3 / 5, 2 / 5, 1 / 5])

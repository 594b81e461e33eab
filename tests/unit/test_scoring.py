"""Maps to scores on the model grid."""

import numpy as np
import pytest

import head_phantom
import shipped
from agent.imaging import preprocess, scoring
from agent.imaging.preprocess import ModelInput
from agent.imaging.scoring import Fusion, Kind


@pytest.fixture(scope="module")
def view() -> ModelInput:
    found = preprocess.prepare(
        head_phantom.draw().volume, size=64, context=1, brain_net=shipped.brain_net()
    )
    assert isinstance(found, ModelInput)
    return found


def spot(view: ModelInput, index: int) -> np.ndarray:
    """A bright square in one slice."""
    values = np.zeros_like(view.slices[:, 0])
    values[index, 28:36, 28:36] = 1.0
    return values


def test_the_slice_with_the_deviation_scores_highest(view: ModelInput) -> None:
    answer = shipped.maps(view.brain.shape, deviations={Kind.RESIDUAL: spot(view, 9)})
    scores = scoring.score(answer, view, shipped.RESIDUAL_ONLY)
    assert int(np.argmax(scores.slice_scores)) == 9
    assert scores.slice_scores[9] > 2 * scores.slice_scores[8] > 0
    assert scores.slice_scores[3] == 0


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_of_map_counts_by_its_weights(view: ModelInput, kind: Kind) -> None:
    seen = shipped.maps(
        view.brain.shape, raw={kind: spot(view, 9)}, deviations={kind: spot(view, 9)}
    )

    def scored(weight: float) -> scoring.Scores:
        weights = tuple(weight * (other is kind) for other in Kind)
        return scoring.score(seen, view, Fusion(map_weights=weights, score_weights=weights))

    without, halved, whole = scored(0.0), scored(0.5), scored(1.0)
    assert without.anomaly_map.max() == without.slice_scores.max() == 0
    assert whole.anomaly_map.max() == pytest.approx(2 * halved.anomaly_map.max())
    assert whole.slice_scores.max() == pytest.approx(2 * halved.slice_scores.max())


def test_less_than_usual_lowers_no_score(view: ModelInput) -> None:
    answer = shipped.maps(view.brain.shape, deviations={Kind.RESIDUAL: -spot(view, 9)})
    scores = scoring.score(answer, view, shipped.RESIDUAL_ONLY)
    assert scores.slice_scores.min() == scores.slice_scores.max() == 0


def test_nothing_is_scored_outside_the_brain(view: ModelInput) -> None:
    everywhere = np.ones(view.brain.shape, dtype=np.float32)
    answer = shipped.maps(view.brain.shape, raw={Kind.RESIDUAL: everywhere})
    scores = scoring.score(answer, view, shipped.RESIDUAL_ONLY)
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


def test_a_slice_beside_a_very_bright_one_is_not_called_after_it() -> None:
    inside = np.ones((9, 4, 4), dtype=np.bool_)
    values = np.full((9, 4, 4), 0.1, dtype=np.float32)
    values[4] = 10.0
    smoothed = scoring.across_slices(values, inside, 5.0)
    assert smoothed[4, 0, 0] > 3.0
    assert smoothed[5, 0, 0] < 0.15 * smoothed[4, 0, 0]  # a plain mean would leave a quarter


def test_p_values_are_split_conformal() -> None:
    reference = [0.1, 0.2, 0.3, 0.4]
    values = scoring.p_values(np.array([0.05, 0.3, 0.35, 9.0]), reference)
    np.testing.assert_allclose(values, [1.0, 3 / 5, 2 / 5, 1 / 5])

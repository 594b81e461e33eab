"""What is measured on healthy subjects: restorations and synthetic lesions."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import head_phantom
from agent.imaging.grids import Square
from agent.imaging.preprocess import Geometry, ModelInput
from agent.imaging.scoring import Fusion, Kind, Maps
from model_training.calibrate import Calibration
from model_training.collection import Member, Split, Subject
from model_training.data import SliceSet
from model_training.evaluation import restorations, sense, synthetic
from model_training.evaluation.examine import MODEL, Examined
from model_training.evaluation.sense import Sense
from model_training.evaluation.synthetic import Family

SIZE = 64
NOTHING = np.zeros((0, 0, 0), dtype=np.float32)
ONLY_RESIDUAL = Fusion(map_weights=(1, 0, 0, 0), score_weights=(1, 0, 0, 0))


@dataclass(frozen=True)
class Knowing:
    """A model that knows the one healthy brain there is and answers with what is brighter."""

    healthy: NDArray[np.float32]

    def answer(self, seen: ModelInput) -> Maps:
        """The healthy brain, and the slice less it."""
        slices = seen.slices
        restoration = np.repeat(self.healthy[None], len(slices), axis=0)
        raw = np.zeros((len(slices), len(Kind), SIZE, SIZE), dtype=np.float32)
        raw[:, 0] = np.maximum(slices[:, 0] - restoration, 0)
        return Maps(restoration=restoration, raw=raw, deviations=raw)


def prepared() -> ModelInput:
    """One slice of an even brain with a little texture."""
    rows, columns = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    brain = np.hypot(rows, columns) < 24
    texture = np.random.default_rng(0).normal(0, 0.02, (SIZE, SIZE))
    image = np.where(brain, 0.4 + texture, 0).astype(np.float32)
    return ModelInput(
        slices=image[None, None],
        positions=np.array([0.5], dtype=np.float32),
        brain=brain[None],
        head_share=np.array([0.5]),
        spacing_mm=(5.0, 2.0, 2.0),
        geometry=Geometry(
            source_shape=(1, SIZE, SIZE),
            axes=(0, 1, 2),
            flips=(False, False, False),
            factors=(1, 1, 1),
            square=Square(origin=(0, 0), step=(1, 1), size=SIZE),
        ),
    )


def subjects(number: int) -> list[Examined]:
    """The same healthy brain several times."""
    volume = head_phantom.draw(slices=1, pixels=SIZE).volume
    return [
        Examined(
            subject=Subject(
                name=f"subject_{index}",
                volume=volume,
                lesion=np.zeros((1, SIZE, SIZE), dtype=np.bool_),
                abnormal=False,
                group=f"subject_{index}",
            ),
            prepared=prepared(),
            maps=Maps(restoration=NOTHING, raw=NOTHING[None], deviations=NOTHING[None]),
            labels=np.zeros(1, dtype=np.bool_),
            evaluated=np.ones(1, dtype=np.bool_),
        )
        for index in range(number)
    ]


@pytest.fixture(scope="module")
def found() -> Sense:
    """Eight subjects and the model that knows them."""
    one = prepared()
    frozen = Calibration(
        fusion=ONLY_RESIDUAL,
        rows={},
        minimum_volume_ml=0.5,
        slice_reference=(),
        study_reference=(),
        patients=0,
        tumour_free_subjects=0,
        synthetic={},
    )
    training = SliceSet(
        images=one.slices.astype(np.float16),
        brain=one.brain,
        positions=one.positions,
        subjects=1,
        digest="none",
    )
    knowing = Knowing(one.slices[0, 0])
    return sense.measure(subjects(8), knowing.answer, frozen, training)


def test_a_dark_lesion_is_a_bright_one_with_its_sign_turned() -> None:
    one = prepared()
    bright, there = synthetic.damaged(one, Family.BRIGHT, seed=3)
    dark, same = synthetic.damaged(one, Family.DARK, seed=3)
    assert there.sum() > 20
    np.testing.assert_array_equal(there, same)
    assert bright[:, 0][there].mean() > one.slices[:, 0][there].mean()
    # Where a dark value would be below that of air it is cut.
    uncut = dark > 0
    np.testing.assert_allclose((dark + bright)[uncut], 2 * one.slices[uncut], atol=1e-6)


def test_lesions_stay_inside_the_brain() -> None:
    one = prepared()
    changed, there = synthetic.damaged(one, Family.BRIGHT, seed=3)
    outside = ~one.brain
    assert not there[outside].any()
    np.testing.assert_array_equal(changed[:, 0][outside], one.slices[:, 0][outside])


def test_a_model_that_restores_perfectly_makes_no_error_and_a_copy_none_in_health_alone(
    found: Sense,
) -> None:
    by_name = {one.name: one for one in found.restorations}
    model, copy = by_name[restorations.MODEL], by_name[restorations.COPY]
    assert model.healthy.value == pytest.approx(0)
    assert model.in_lesion[Family.BRIGHT].value == pytest.approx(0)
    assert copy.healthy.value == pytest.approx(0)
    assert copy.in_lesion[Family.BRIGHT].value > 0.02


def test_a_model_that_sees_only_what_is_brighter_finds_bright_lesions_and_no_dark_ones(
    found: Sense,
) -> None:
    auroc = {
        one.family: one.figures[sense.AUROC].value for one in found.findings if one.name == MODEL
    }
    assert auroc[Family.BRIGHT] == pytest.approx(1.0)
    assert auroc[Family.DARK] == pytest.approx(0.5, abs=0.2)


def test_it_applies_only_where_every_subject_is_known_to_be_normal() -> None:
    def member(abnormal: bool | None) -> Member:
        return Member(
            name="one", folder=Path("one"), group="one", split=Split.TEST, abnormal=abnormal
        )

    assert sense.applies([member(False), member(False)])
    assert not sense.applies([member(False), member(None)])
    assert not sense.applies([member(False), member(True)])
    assert not sense.applies([])

"""From the maps of a model to what the study looks like."""

from dataclasses import replace

import numpy as np

import drawn_brain
import shipped
from agent import pipeline
from agent.imaging.findings import Thresholds
from agent.imaging.pattern import ALL_MASS_LIKE, PatternRule
from agent.imaging.results import Findings, Pattern
from agent.imaging.scoring import Kind
from agent.imaging.volume import Volume
from agent.model_toml import ModelDescription
from answers import RULE

THRESHOLDS = Thresholds(pixel=0.1, slice=1.0, minimum_volume_ml=0.5, version="test")
DESCRIBED = ModelDescription(
    name="drawn",
    version="1",
    sha256="",
    brain_sha256="",
    sequence="FLAIR",
    plane="axial",
    size=128,
    context=1,
    fusion=shipped.RESIDUAL_ONLY,
    thresholds=THRESHOLDS,
    pattern=RULE,
    operating_point="",
    slice_reference=(0.1,),
    study_reference=(0.1,),
    training_data_sha256="",
    code_version="",
)
WHERE = drawn_brain.places()
MASS = drawn_brain.ellipsoid(WHERE, (10, -30, 36), (18, 14, 14))
PAIR = [drawn_brain.ellipsoid(WHERE, (8, 15, side), (15, 20, 6)) for side in (-22.0, 22.0)]


def concluded(*bright: drawn_brain.Mask, rule: PatternRule = RULE) -> Findings:
    """What is found where the brain is bright, by a model that restores tissue."""
    view = drawn_brain.draw(WHERE, bright)
    image = view.slices[:, 0]
    residual = np.maximum(image - drawn_brain.TISSUE, 0)
    maps = shipped.maps(
        image.shape,
        raw={Kind.RESIDUAL: residual},
        deviations={Kind.RESIDUAL: residual / 0.05},
    )
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = drawn_brain.SPACING_MM
    affine[3, 3] = 1.0
    volume = Volume(voxels=image, affine=affine, sources=tuple(map(str, range(len(image)))))
    return pipeline.conclude(volume, view, maps, replace(DESCRIBED, pattern=rule), THRESHOLDS)


def test_a_mass_is_mass_like() -> None:
    found = concluded(MASS)
    assert found.pattern is Pattern.MASS_LIKE
    assert found.regions[0].mass_score > 0.9


def test_a_pair_at_the_ventricles_is_white_matter_and_still_abnormal() -> None:
    found = concluded(*PAIR)
    assert len(found.regions) == 2
    assert found.pattern is Pattern.WHITE_MATTER
    assert found.abnormal
    assert max(region.mass_score for region in found.regions) < 0.1


def test_a_mass_beside_white_matter_changes_decides_the_study() -> None:
    found = concluded(MASS, *PAIR)
    assert [region.mass_like for region in found.regions] == [True, False, False]
    assert found.pattern is Pattern.MASS_LIKE


def test_a_model_that_was_not_taught_the_difference_calls_everything_mass_like() -> None:
    found = concluded(*PAIR, rule=ALL_MASS_LIKE)
    assert found.pattern is Pattern.MASS_LIKE
    assert all(region.shape is not None for region in found.regions)


def test_a_brain_without_a_mark_has_no_pattern() -> None:
    assert concluded().pattern is Pattern.NONE

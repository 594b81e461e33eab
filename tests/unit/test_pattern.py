"""From the description of regions to what they look like, alone and together."""

from dataclasses import replace
from typing import Any

import pytest

import answers
import builders
from agent.imaging import pattern
from agent.imaging.pattern import ALL_MASS_LIKE
from agent.imaging.results import Findings, Pattern, Region
from answers import RULE


@pytest.fixture(scope="module")
def found() -> Findings:
    """Two regions, the larger one mass-like."""
    volume = builders.volume(builders.flair_series(slices=12, rows=32, columns=32))
    return builders.findings(volume)


def of(found: Findings, *mass_like: bool) -> Findings:
    regions = [
        replace(region, mass_like=alike)
        for region, alike in zip(found.regions, mass_like, strict=False)
    ]
    return replace(found, regions=tuple(regions))


def test_one_mass_like_region_makes_the_study_mass_like(found: Findings) -> None:
    assert of(found, False, True).pattern is Pattern.MASS_LIKE


def test_regions_none_of_which_is_mass_like_are_white_matter(found: Findings) -> None:
    study = of(found, False, False)
    assert study.pattern is Pattern.WHITE_MATTER
    assert study.abnormal


def test_without_a_region_there_is_no_pattern(found: Findings) -> None:
    assert of(found).pattern is Pattern.NONE


def test_the_rule_tells_a_mass_from_white_matter(found: Findings) -> None:
    shapes = [answers.MASS, answers.WHITE_MATTER]
    mass, white = pattern.judged(found.regions, shapes, RULE)
    assert (mass.mass_like, white.mass_like) == (True, False)
    assert mass.shape is answers.MASS
    assert 0.0 <= white.mass_score < RULE.threshold <= mass.mass_score <= 1.0


@pytest.mark.parametrize(
    "more",
    [
        {"thickness_mm": 40.0},
        {"asymmetry": 0.9},
        {"contrast": 0.3},
        {"near_ventricle": 0.1},
    ],
)
def test_each_measure_moves_the_score_as_its_weight_says(more: dict[str, Any]) -> None:
    before = pattern.mass_score(answers.WHITE_MATTER, RULE)
    assert pattern.mass_score(replace(answers.WHITE_MATTER, **more), RULE) > before


def test_a_model_without_a_rule_calls_every_region_mass_like(found: Findings) -> None:
    shapes = [answers.WHITE_MATTER] * 2
    judged = pattern.judged(found.regions, shapes, ALL_MASS_LIKE)
    assert all(region.mass_like for region in judged)
    assert {region.mass_score for region in judged} == {0.5}


def test_a_region_that_could_not_be_described_counts_as_mass_like(found: Findings) -> None:
    bare: Region = replace(found.regions[0], shape=None, mass_like=True, mass_score=0.5)
    assert pattern.judge(bare, None, RULE).mass_like


def test_an_unseen_ventricle_speaks_neither_for_nor_against() -> None:
    unseen = replace(answers.MASS, near_ventricle=None, ventricle_mm=None)
    assert pattern.mass_score(unseen, RULE) == pattern.mass_score(answers.MASS, RULE)


def test_extreme_regions_do_not_overflow() -> None:
    steep = replace(RULE, bias=-1e6)
    assert pattern.mass_score(answers.MASS, steep) == 0.0


def test_regions_together_weigh_by_volume(found: Findings) -> None:
    first, second = (
        replace(region, volume_ml=volume_ml, shape=shape)
        for region, volume_ml, shape in zip(
            found.regions, (30.0, 10.0), (answers.MASS, answers.WHITE_MATTER), strict=True
        )
    )
    together = pattern.spread([first, second])
    assert together is not None
    assert (together.regions, together.volume_ml, together.largest_share) == (2, 40.0, 0.75)
    assert together.symmetry == pytest.approx(1 - (0.75 * 1.0 + 0.25 * 0.125))
    assert together.near_ventricle == pytest.approx(0.25 * 0.75)


def test_what_was_not_described_is_left_out_of_the_mean(found: Findings) -> None:
    bare = replace(found.regions[0], shape=None)
    together = pattern.spread([bare])
    assert together is not None
    assert (together.symmetry, together.near_ventricle) == (None, None)
    assert pattern.spread([]) is None

"""What is refused, in which words, and how the limits are learnt and written down."""

import math
import tomllib

import numpy as np
import pytest

import drawn_sight
from agent import model_toml
from agent.imaging import acceptance, traits
from agent.imaging.acceptance import Limit, Limits
from agent.imaging.results import Reason
from agent.imaging.traits import Measured, Trait
from model_training import acceptance as learning
from model_training import limits as tables
from model_training.acceptance import Sample
from model_training.evaluation import refusals

LIMITS = (
    Limit(trait=Trait.RIBBON, least=0.9, most=1.2),
    Limit(trait=Trait.NOISE, most=0.1),
    Limit(trait=Trait.BELOW, most=0.5),
)


def measured(**values: float) -> tuple[Measured, ...]:
    """Traits by name."""
    return tuple(Measured(trait=Trait(name), value=value) for name, value in values.items())


def judged(**values: float) -> acceptance.Judgement:
    """What the limits above say of some traits."""
    return acceptance.compare(measured(**values), LIMITS, sequence="FLAIR")


def samples(site: str, *ribbons: float) -> list[Sample]:
    """Volumes of which only the ribbon was measured, in the stack and in one slice."""
    return [
        Sample(
            subject=f"{site}_{index}",
            site=site,
            stack=measured(ribbon=ribbon),
            singles=(measured(ribbon=ribbon),),
        )
        for index, ribbon in enumerate(ribbons)
    ]


def test_a_volume_within_its_limits_is_accepted_without_a_word() -> None:
    assert judged(ribbon=1.05, noise=0.02, below=0.1) == acceptance.Judgement(
        refusal=None, remarks=()
    )


def test_another_weighting_is_refused_with_the_number_and_its_bound() -> None:
    refusal = judged(ribbon=0.86).refusal
    assert refusal is not None
    assert refusal.reason is Reason.UNFAMILIAR_IMAGES
    assert "the cortex is darker against the white matter than FLAIR shows it" in refusal.sentence
    assert "ribbon 0.86, usual is at least 0.9" in refusal.sentence


def test_everything_that_speaks_for_a_refusal_is_said() -> None:
    refusal = judged(ribbon=1.3, noise=0.2).refusal
    assert refusal is not None
    assert "cortex is brighter" in refusal.sentence
    assert "noise is too strong" in refusal.sentence


def test_a_volume_that_begins_inside_the_brain_is_analysed_with_a_remark() -> None:
    verdict = judged(ribbon=1.05, below=0.8)
    assert verdict.refusal is None
    assert verdict.remarks == (
        "The images begin inside the brain: what lies below them was not analysed.",
    )


def test_a_trait_without_a_limit_is_not_judged() -> None:
    assert judged(ghosts=99.0).refusal is None


@pytest.mark.parametrize(("slices", "refused"), [(9, True), (1, False)])
def test_volumes_and_single_images_have_limits_of_their_own(slices: int, refused: bool) -> None:
    only_stacks = Limits(stack=(Limit(trait=Trait.RIBBON, least=2.0),), single=())
    verdict = acceptance.judge(drawn_sight.draw(slices=slices), only_stacks, sequence="FLAIR")
    assert (verdict.refusal is not None) is refused


def test_a_drawn_t1_is_refused_by_limits_learnt_on_drawn_flair() -> None:
    stacks = [traits.measure(drawn_sight.draw(noise=noise)) for noise in (0.01, 0.02, 0.03)]
    learnt = learning.fit(
        [Sample(subject="a", site="a", stack=stack, singles=(stack,)) for stack in stacks]
    )
    t1 = acceptance.judge(drawn_sight.draw(drawn_sight.T1), learnt, sequence="FLAIR")
    assert t1.refusal is not None
    assert "cortex is darker" in t1.refusal.sentence
    assert acceptance.judge(drawn_sight.draw(), learnt, sequence="FLAIR").refusal is None


def test_no_good_volume_is_refused_by_the_limits_it_helped_to_set() -> None:
    volumes = samples("a", *np.random.default_rng(1).normal(1.05, 0.04, 60), 1.4)
    assert refusals.count(volumes, learning.fit(volumes)).refused == ()


def test_of_traits_that_only_harm_in_excess_little_is_never_refused() -> None:
    learnt = learning.limit(Trait.GHOSTS, 0.01, 0.05)
    assert (learnt.least, learnt.most) == (-math.inf, 0.05)


def test_soft_good_volumes_do_not_make_a_blurred_one_acceptable() -> None:
    learnt = learning.widened(Trait.TEXTURE, np.linspace(0.09, 0.2, 50).tolist())
    assert learnt.least == learning.HARMFUL[Trait.TEXTURE]


def test_clean_good_volumes_do_not_make_harmless_noise_a_fault() -> None:
    learnt = learning.limit(Trait.NOISE, 0.01, 0.02)
    assert learnt.most == learning.HARMLESS[Trait.NOISE]


def test_limits_are_rounded_outward_so_that_no_good_volume_falls_out() -> None:
    learnt = learning.limit(Trait.ASPECT, 1.0991, 1.2341)
    assert (learnt.least, learnt.most) == (1.09, 1.24)


def test_without_good_volumes_nothing_is_learnt() -> None:
    with pytest.raises(ValueError, match="there are none"):
        learning.fit([])


def test_where_only_single_images_were_seen_their_limits_hold_for_volumes() -> None:
    images = [
        Sample(subject=str(ribbon), site="a", stack=(), singles=(measured(ribbon=ribbon),))
        for ribbon in (0.8, 0.85, 0.9)
    ]
    learnt = learning.fit(images)
    assert learnt.stack == learnt.single != ()


def test_a_site_is_judged_by_limits_learnt_without_it() -> None:
    here, there = samples("a", 1.0, 1.01, 1.02), samples("b", 1.5)
    assert refusals.count(there, learning.fit([*here, *there])).refused == ()
    assert refusals.left_out([*here, *there])[1].refused == ("b_0",)


@pytest.mark.parametrize(
    ("subject", "site"), [("TCGA_CS_4941_19960909", "CS"), ("nichart_05", "nichart")]
)
def test_the_site_is_read_from_the_subjects_name(subject: str, site: str) -> None:
    assert learning.site_of(subject) == site


def test_limits_come_back_from_toml_as_they_were_learnt() -> None:
    learnt = Limits(stack=LIMITS, single=LIMITS[:2])
    written = tomllib.loads(tables.as_toml(learnt))
    assert model_toml.acceptance(written["acceptance"]) == learnt
    assert model_toml.acceptance(tables.as_table(learnt)) == learnt


def test_a_model_without_limits_has_no_table() -> None:
    assert tables.as_toml(acceptance.NO_LIMITS) == ""

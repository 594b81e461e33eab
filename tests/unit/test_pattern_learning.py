"""The pattern rule is learnt from described regions, judged without the subject it judges."""

import tomllib
from dataclasses import replace

import numpy as np
import pytest

import answers
import drawn_brain
from agent import model_toml
from agent.imaging.results import Shape
from model_training.pattern import figures as pattern_figures
from model_training.pattern import learning
from model_training.pattern import samples as pattern_samples
from model_training.pattern.samples import Described, Marked, Sample


def varied(shape: Shape, chance: np.random.Generator) -> Shape:
    """A shape like this one."""
    return replace(
        shape,
        thickness_mm=shape.thickness_mm * chance.uniform(0.8, 1.25),
        asymmetry=float(np.clip(shape.asymmetry + chance.normal(0, 0.1), 0, 1)),
        contrast=shape.contrast + chance.normal(0, 0.1),
        near_ventricle=float(np.clip((shape.near_ventricle or 0) + chance.normal(0, 0.1), 0, 1)),
    )


def cohort(patients: int = 12, elderly: int = 8) -> list[Described]:
    """Tumour patients with a mass, some with a false mark too, and elderly with three lesions."""
    chance = np.random.default_rng(1)
    white = [varied(answers.WHITE_MATTER, chance) for _ in range(3 * elderly + patients)]
    ill = [
        Described(
            subject=f"patient {number}",
            group="patients",
            tumour_patient=True,
            regions=(
                Marked(shape=varied(answers.MASS, chance), tumour=True),
                *([Marked(shape=white.pop(), tumour=False)] if number % 3 == 0 else []),
            ),
        )
        for number in range(patients)
    ]
    well = [
        Described(
            subject=f"elderly {number}",
            group="elderly",
            tumour_patient=False,
            regions=tuple(Marked(shape=white.pop(), tumour=False) for _ in range(3)),
        )
        for number in range(elderly)
    ]
    return ill + well


def sample(name: str, *, tumour_patient: bool, lesion: drawn_brain.Mask) -> Sample:
    """A drawn subject whose lesion the detector marked."""
    where = drawn_brain.places()
    view = drawn_brain.draw(where, [lesion])
    expert = lesion if tumour_patient else np.zeros_like(lesion)
    return Sample(
        subject=name,
        group="patients" if tumour_patient else "elderly",
        tumour_patient=tumour_patient,
        labels=drawn_brain.labels(lesion),
        prepared=view,
        lesion=expert,
    )


def test_clearly_different_regions_are_told_apart_with_the_subject_left_out() -> None:
    learnt = learning.learn_described(cohort())
    patients, elderly = learnt.groups
    assert (patients.subjects, patients.tumour_marked, patients.recognised) == (12, 12, 12)
    assert (elderly.subjects, elderly.mass_like) == (8, 0)
    assert learnt.auroc == 1.0


def test_each_weight_points_where_a_mass_differs() -> None:
    rule = learning.learn_described(cohort()).rule
    assert rule.log_thickness > 0
    assert rule.asymmetry > 0
    assert rule.contrast > 0
    assert rule.near_ventricle < 0


def test_the_threshold_keeps_away_from_both_kinds() -> None:
    assert 0.3 <= learning.learn_described(cohort()).rule.threshold <= 0.7


def test_a_subject_given_twice_is_left_out_as_one() -> None:
    """Else a rule would judge a subject whose other marks it had learnt from."""
    strange = Described(
        subject="strange",
        group="elderly",
        tumour_patient=False,
        regions=(Marked(shape=answers.MASS, tumour=False),),
    )
    learnt = learning.learn_described([*cohort(), *[strange] * 4])
    assert learnt.groups[1].mass_like == 4


def test_what_is_not_served_is_learnt_from_but_not_judged() -> None:
    """A good detector marks so little in the elderly that what it nearly marks must teach."""
    served = [one for one in cohort() if one.tumour_patient or one.subject == "elderly 0"]
    nearly = [replace(one, served=False) for one in cohort() if not one.tumour_patient]
    learnt = learning.learn_described([*served, *nearly])
    assert learnt.groups[1].subjects == 1
    alone = learning.learn_described(cohort())
    assert learnt.rule.near_ventricle == pytest.approx(alone.rule.near_ventricle, rel=0.3)


def test_many_marks_in_one_subject_weigh_no_more_than_one() -> None:
    labels = np.array([True, False, False, False, False])
    weights = learning.balanced(labels, np.array(["a", "b", "b", "b", "c"]))
    np.testing.assert_allclose(weights, [2.5, 1.25 / 3, 1.25 / 3, 1.25 / 3, 1.25])


def test_without_both_kinds_of_region_there_is_no_rule() -> None:
    with pytest.raises(ValueError, match="tumour-free subjects"):
        learning.learn_described(
            [one for one in cohort() if one.tumour_patient and len(one.regions) == 1]
        )


def test_a_missed_tumour_counts_among_the_subjects_but_not_among_the_marked() -> None:
    missed = Described(subject="missed", group="patients", tumour_patient=True, regions=())
    rule = learning.learn_described(cohort()).rule
    (row,) = pattern_figures.count([missed], [rule])
    assert (row.subjects, row.marked, row.tumour_marked, row.mass_like) == (1, 0, 0, 0)


def test_a_region_is_tumour_where_it_shares_enough_with_the_experts_mask() -> None:
    where = drawn_brain.places()
    lesion = drawn_brain.ellipsoid(where, (10, -20, 35), (15, 15, 15))
    beside = drawn_brain.ellipsoid(where, (10, -20, -35), (15, 15, 15))
    both = replace(
        sample("p", tumour_patient=True, lesion=lesion), labels=drawn_brain.labels(lesion, beside)
    )
    described = pattern_samples.describe(both)
    assert [region.tumour for region in described.regions] == [True, False]
    free = pattern_samples.describe(replace(both, tumour_patient=False))
    assert [region.tumour for region in free.regions] == [False, False]


def test_a_rule_is_learnt_from_samples_and_read_back_by_the_agent() -> None:
    where = drawn_brain.places()
    mass = drawn_brain.ellipsoid(where, (10, -20, 35), (15, 15, 15))
    thin = drawn_brain.ellipsoid(where, (8, 15, 20), (12, 18, 4.5))
    samples = [
        sample(f"{kind} {number}", tumour_patient=kind == "patient", lesion=lesion)
        for kind, lesion in (("patient", mass), ("elderly", thin))
        for number in range(2)
    ]
    learnt = learning.learn(samples)
    assert learning.figures(samples, learnt.rule)[0].recognised == 2
    table = tomllib.loads(learning.as_toml(learnt.rule))
    assert model_toml.pattern(table["pattern"]) == learnt.rule

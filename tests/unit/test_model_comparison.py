"""Two models on the same studies: counts by hand, and the numbers that come out."""

from dataclasses import replace

import pytest

import verdicts
from agent import model_comparison
from agent.model_comparison import Pair
from storage.enums import Mark, Outcome
from storage.records import Lesion, StudyKey

ABNORMAL, NOTHING = Outcome.ABNORMAL, Outcome.NO_ABNORMALITY


def lesion(number: int, *, x: float, volume_ml: float = 5.0) -> Lesion:
    return replace(verdicts.lesion(number), centroid_mm=(x, 0.0, 0.0), volume_ml=volume_ml)


def pair(
    ours: Outcome,
    theirs: Outcome,
    *,
    scores: tuple[float | None, float | None] = (1.0, 1.0),
    our_lesions: tuple[Lesion, ...] = (),
    their_lesions: tuple[Lesion, ...] = (),
    mark: Mark | None = None,
) -> Pair:
    return Pair(
        key=StudyKey("1.2#1"),
        ours=replace(verdicts.ANALYSIS, outcome=ours, study_score=scores[0]),
        theirs=replace(verdicts.ANALYSIS, outcome=theirs, study_score=scores[1]),
        our_lesions=our_lesions,
        their_lesions=their_lesions,
        mark=mark,
    )


def test_kappa_is_that_of_the_textbook() -> None:
    """Cohen's own kind of table: 20, 5, 10, 15 of 50 studies give 0.4."""
    table = {(ABNORMAL, ABNORMAL): 20, (ABNORMAL, NOTHING): 5}
    table |= {(NOTHING, ABNORMAL): 10, (NOTHING, NOTHING): 15}
    pairs = [pair(*verdicts) for verdicts, count in table.items() for _ in range(count)]
    assert model_comparison.agreement(pairs) == table
    assert model_comparison.agreeing(pairs) == 35
    assert model_comparison.kappa(pairs) == pytest.approx(0.4)


@pytest.mark.parametrize("pairs", [[], [pair(NOTHING, NOTHING)] * 3])
def test_there_is_no_kappa_where_nothing_could_differ(pairs: list[Pair]) -> None:
    assert model_comparison.kappa(pairs) is None


def test_scores_that_rank_alike_correlate_whatever_their_scale() -> None:
    pairs = [pair(ABNORMAL, ABNORMAL, scores=(one, one**3)) for one in (1.0, 2.0, 3.0, 4.0)]
    assert model_comparison.correlation(pairs) == pytest.approx(1.0)


def test_studies_that_one_could_not_analyse_have_no_scores_to_compare() -> None:
    pairs = [pair(NOTHING, Outcome.NOT_ANALYSED, scores=(1.0, None))] * 5
    assert model_comparison.scores_of_both(pairs) == []
    assert model_comparison.correlation(pairs) is None
    assert model_comparison.quantiles([]) == ()


def test_lesions_at_the_same_place_stand_side_by_side() -> None:
    both = pair(
        ABNORMAL,
        ABNORMAL,
        our_lesions=(lesion(1, x=0.0), lesion(2, x=60.0)),
        their_lesions=(lesion(1, x=64.0), lesion(2, x=3.0), lesion(3, x=-90.0)),
    )
    found = model_comparison.lesions_side_by_side(both)
    numbers = [
        (one.ours.number if one.ours else None, one.theirs.number if one.theirs else None)
        for one in found
    ]
    assert numbers == [(1, 2), (2, 1), (None, 3)]


def test_each_model_is_held_against_the_marks() -> None:
    pairs = [
        pair(ABNORMAL, NOTHING, mark=Mark.NORMAL),
        pair(NOTHING, NOTHING, mark=Mark.NORMAL),
        pair(ABNORMAL, ABNORMAL, mark=Mark.LESION),
        pair(ABNORMAL, ABNORMAL),
    ]
    assert model_comparison.against_marks(pairs, theirs=False) == {
        Mark.NORMAL: (1, 2),
        Mark.LESION: (1, 1),
    }
    assert model_comparison.against_marks(pairs, theirs=True)[Mark.NORMAL] == (0, 2)

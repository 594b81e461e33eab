"""The decision whether a study is complete, without anything that asks or waits."""

from dataclasses import replace

import pytest

from agent.completeness import Answer, Facts, Limits, Step, Survey, decide
from storage.records import INCOMPLETE, SeriesUid

A, B = SeriesUid("1.2.3"), SeriesUid("1.2.4")
LIMITS = Limits(quiet_seconds=10.0, wait_seconds=300.0)
ALONE = Facts(arrived={A: 20}, silence_seconds=1.0, stalled_seconds=1.0, watched_seconds=60.0)
ASKED = replace(ALONE, source="PACS", may_ask=False, answer=Answer(counts={A: 20}))
LACKING = replace(ASKED, answer=Answer(counts={A: 24, B: 3}))
HOLE = Survey(faults=("series 4 (1.2.3): 2 slices are missing between image 7 and image 10",))


def quiet(facts: Facts, seconds: float = 10.0) -> Facts:
    return replace(facts, silence_seconds=seconds, stalled_seconds=seconds)


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        (ALONE, Step.WAIT),
        (quiet(ALONE), Step.SURVEY),
        (replace(quiet(ALONE), busy=True), Step.WAIT),
        (replace(quiet(ALONE), survey=Survey()), Step.COMPLETE),
        (replace(quiet(ALONE), survey=HOLE), Step.WAIT),
        (replace(quiet(ALONE, 299.0), survey=Survey(unmet=("flair",))), Step.WAIT),
        (replace(quiet(ALONE, 300.0), survey=HOLE), Step.COMPLETE),
    ],
)
def test_without_a_source_the_quiet_time_and_the_slices_decide(facts: Facts, step: Step) -> None:
    assert decide(facts, LIMITS).step is step


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        (replace(ASKED, answer=None, may_ask=True), Step.ASK),
        (replace(ASKED, answer=None), Step.WAIT),
        (replace(quiet(ASKED, 30.0), answer=None), Step.WAIT),  # it will be asked soon
        (ASKED, Step.COMPLETE),
        (replace(ASKED, expects=True), Step.SURVEY),
        (replace(ASKED, expects=True, survey=Survey(unmet=("flair",))), Step.WAIT),
        (replace(ASKED, expects=True, survey=HOLE), Step.COMPLETE),  # the source has no more
        (replace(ASKED, answer=Answer(counts={A: 20}, steady=False)), Step.WAIT),
        (replace(ASKED, answer=Answer(counts={A: 20}, steady=False), may_ask=True), Step.ASK),
        (replace(quiet(ASKED), answer=Answer(counts={A: 20}, steady=False)), Step.COMPLETE),
    ],
)
def test_a_source_that_agrees_ends_the_waiting(facts: Facts, step: Step) -> None:
    assert decide(facts, LIMITS).step is step


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        (LACKING, Step.WAIT),
        (replace(LACKING, may_ask=True), Step.ASK),
        (replace(LACKING, may_move=True), Step.WAIT),  # the sender may still be at it
        (replace(quiet(LACKING), may_move=True), Step.FETCH),
        (replace(quiet(LACKING), may_move=True, exhausted={A, B}), Step.WAIT),
        (quiet(LACKING, 299.0), Step.WAIT),
        (quiet(LACKING, 300.0), Step.COMPLETE),
        (replace(quiet(LACKING, 300.0), busy=True), Step.COMPLETE),  # a slow peer holds up nothing
    ],
)
def test_what_is_missing_is_waited_for_up_to_the_limit(facts: Facts, step: Step) -> None:
    assert decide(facts, LIMITS).step is step


def test_only_what_is_missing_and_not_exhausted_is_fetched() -> None:
    facts = replace(quiet(LACKING), may_move=True)
    assert decide(facts, LIMITS).series == (A, B)
    assert decide(replace(facts, exhausted={A}), LIMITS).series == (B,)
    assert decide(replace(facts, arrived={A: 24}), LIMITS).series == (B,)


@pytest.mark.parametrize("answer", [Answer(counts=None), Answer(counts={}), Answer(counts={A: 9})])
def test_a_source_that_does_not_help_leaves_it_to_the_quiet_time(answer: Answer) -> None:
    facts = replace(ASKED, answer=answer, survey=Survey())
    assert decide(facts, LIMITS).step is Step.WAIT
    assert decide(quiet(facts), LIMITS).step is Step.COMPLETE


def test_images_that_come_again_and_again_hold_nothing_up() -> None:
    """Restarts that fetch each time bring only what is here: `stalled` goes on."""
    facts = replace(LACKING, silence_seconds=0.5, stalled_seconds=300.0)
    assert decide(facts, LIMITS).step is Step.COMPLETE


def test_after_a_long_stop_the_source_is_asked_once_more_but_not_for_ever() -> None:
    facts = replace(quiet(ASKED, 9000.0), answer=None, may_ask=True, watched_seconds=0.0)
    assert decide(facts, LIMITS).step is Step.ASK
    assert decide(replace(facts, busy=True), LIMITS).step is Step.WAIT
    assert decide(replace(facts, busy=True, watched_seconds=10.0), LIMITS).step is Step.COMPLETE


def test_a_limit_below_the_quiet_time_does_not_shorten_that() -> None:
    limits = Limits(quiet_seconds=10.0, wait_seconds=0.0)
    assert decide(replace(ALONE, survey=Survey()), limits).step is Step.WAIT


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (ASKED, "PACS holds 20 images in 1 series of this study; all were received."),
        (
            replace(quiet(ALONE), survey=Survey()),
            "No association with images of this study was open and no image came for 10 s; "
            "20 images were received.",
        ),
        (replace(quiet(ASKED), answer=Answer(counts=None), survey=Survey()), "could not be asked"),
        (replace(quiet(ASKED), answer=Answer(counts={}), survey=Survey()), "knows no image"),
        (replace(quiet(ASKED), answer=Answer(counts={A: 9}), survey=Survey()), "fewer images"),
    ],
)
def test_the_evidence_of_a_complete_study(facts: Facts, said: str) -> None:
    evidence = decide(facts, LIMITS).evidence
    assert said in evidence
    assert INCOMPLETE not in evidence


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            quiet(LACKING, 300.0),
            "Incomplete: 20 of the 27 images that PACS holds were received (4 of 24 missing of "
            "series 1.2.3, 3 of 3 missing of series 1.2.4). Nothing new came for 300 s; 20 images "
            "were received.",
        ),
        (
            replace(quiet(ALONE, 300.0), survey=HOLE),
            "Incomplete: series 4 (1.2.3): 2 slices are missing between image 7 and image 10. ",
        ),
        (
            replace(quiet(ASKED, 300.0), survey=Survey(unmet=("flair",))),
            "Incomplete: no series matches the expected 'flair'. PACS holds 20 images",
        ),
    ],
)
def test_the_evidence_of_an_incomplete_study(facts: Facts, said: str) -> None:
    assert decide(facts, LIMITS).evidence.startswith(said)


def test_a_sentence_names_a_few_series_and_counts_the_others() -> None:
    counts = {SeriesUid(f"1.2.{number}"): 2 for number in range(9)}
    evidence = decide(
        quiet(replace(ASKED, arrived={}, answer=Answer(counts=counts)), 300.0), LIMITS
    )
    assert evidence.evidence.count("of series") == 5
    assert "and 4 more" in evidence.evidence

"""What reads studies: models and thresholds move together, and back together."""

from dataclasses import replace

import pytest

import together
from received import NOW
from storage import activations, registry, thresholds
from storage.database import Database
from storage.enums import Change, Origin
from storage.errors import Conflict
from storage.model_records import Activation, ModelVersion, ThresholdSet

NAME = "flair-gan"


def version(number: str) -> ModelVersion:
    return ModelVersion(
        name=NAME,
        version=number,
        sha256=f"{number} digest",
        folder=f"models/{number}",
        origin=Origin.IMPORTED,
        sequence="FLAIR",
        registered_at=NOW,
    )


def activate(database: Database, number: str) -> Activation:
    with database.begin() as session:
        known = registry.register(session, version(number))
        return activations.activate(session, known, by="ada", why="try", now=NOW)


def set_thresholds(database: Database, number: str, slice_score: float) -> Activation | None:
    made = ThresholdSet(
        model_name=NAME,
        model_version=number,
        version=f"t{slice_score}",
        pixel=0.5,
        slice=slice_score,
        minimum_volume_ml=0.5,
        operating_point="by hand",
        made_at=NOW,
        made_by="ada",
        why="try",
    )
    with database.begin() as session:
        registry.register(session, version(number))
        return activations.use_thresholds(session, thresholds.add(session, made))


def roll_back(database: Database) -> Activation:
    with database.begin() as session:
        return activations.rollback(session, by="ada", why="worse", now=NOW)


def in_force(database: Database) -> tuple[str, int | None] | None:
    with database.read() as session:
        current = activations.in_force(session)
    return (current.model_version, current.thresholds) if current else None


def test_nothing_is_in_force_before_something_was_activated(database: Database) -> None:
    assert in_force(database) is None


def test_each_step_back_takes_back_one_change_whichever_it_was(database: Database) -> None:
    activate(database, "1")
    set_thresholds(database, "1", 2.0)
    activate(database, "2")
    set_thresholds(database, "2", 3.0)
    assert in_force(database) == ("2", 2)
    for expected in (("2", None), ("1", 1), ("1", None)):
        done = roll_back(database)
        assert done.change is Change.ROLLED_BACK
        assert in_force(database) == expected
    with pytest.raises(Conflict, match="nothing to go back to"):
        roll_back(database)


def test_after_a_step_back_one_can_go_on_and_back_again(database: Database) -> None:
    activate(database, "1")
    activate(database, "2")
    roll_back(database)
    activate(database, "3")
    roll_back(database)
    assert in_force(database) == ("1", None)


def test_a_model_comes_back_with_the_thresholds_made_for_it(database: Database) -> None:
    activate(database, "1")
    set_thresholds(database, "1", 2.0)
    activate(database, "2")
    activate(database, "1")
    assert in_force(database) == ("1", 1)


def test_thresholds_of_another_model_wait_for_it(database: Database) -> None:
    activate(database, "1")
    assert set_thresholds(database, "2", 2.0) is None
    assert in_force(database) == ("1", None)
    activate(database, "2")
    assert in_force(database) == ("2", 1)


def test_what_is_active_is_not_activated_again(database: Database) -> None:
    activate(database, "1")
    with pytest.raises(Conflict, match="active already"):
        activate(database, "1")


def test_thresholds_are_kept_whole_and_listed_newest_first(database: Database) -> None:
    activate(database, "1")
    made = ThresholdSet(
        model_name=NAME,
        model_version="1",
        version="t",
        pixel=0.1 + 0.2,
        slice=1 / 3,
        minimum_volume_ml=0.5,
        slice_reference=(0.1, 1 / 3),
        study_reference=(2 / 3,),
        operating_point="5 % of 40 studies",
        study_count=40,
        false_positive_rate=0.05,
        rate_low=0.01,
        rate_high=0.12,
        made_at=NOW,
        made_by="ada",
        why="calibrated",
    )
    with database.begin() as session:
        first, second = (thresholds.add(session, made) for _ in range(2))
        listed = thresholds.history(session, NAME, "1")
    assert [one.number for one in listed] == [2, 1]
    assert listed == [second, first]
    assert replace(first, number=0) == made


def test_changes_at_once_are_each_kept_in_one_chain(database: Database) -> None:
    activate(database, "0")
    numbers = [str(number) for number in range(1, 7)]
    together.run(threads=[(activate, (database, number)) for number in numbers])
    with database.read() as session:
        history = activations.history(session)
    assert [one.number for one in history] == list(range(7, 0, -1))
    assert [one.previous for one in history] == [6, 5, 4, 3, 2, 1, None]

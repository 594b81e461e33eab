"""Studies: their states, and how they are found, on both databases."""

from dataclasses import replace

import pytest

from kept_studies import FIRST, LATER, WORK, bring_to, complete, get, record
from received import NOW, UID, image, images
from storage import figures, studies
from storage.database import Database
from storage.enums import TERMINAL_STATES, Priority, StudyState
from storage.errors import Conflict, NotFound
from storage.records import SeriesDecision, SeriesUid, Study, StudyKey, StudyUid


class TestStates:
    def test_completing_notes_when_and_by_what_evidence(self, database: Database) -> None:
        record(database, image())
        study = complete(database)
        assert study.state is StudyState.COMPLETE
        assert study.completed_at == NOW
        assert study.completion_evidence == "quiet for 10 s"

    def test_an_image_that_came_meanwhile_keeps_a_study_open(self, database: Database) -> None:
        """What was decided was about one image less."""
        record(database, *images(2))
        with database.begin() as session, pytest.raises(Conflict, match="another image"):
            studies.complete(session, FIRST, evidence="quiet", now=NOW, instance_count=1)
        assert get(database).state is StudyState.RECEIVING
        with database.begin() as session:
            studies.complete(session, FIRST, evidence="quiet", now=NOW, instance_count=2)

    def test_a_study_that_lacked_images_stays_known_as_incomplete(self, database: Database) -> None:
        bring_to(database, StudyState.DELIVERED, StudyKey("1.2.3#1"))
        record(database, *images(2))
        with database.begin() as session:
            lacking = "Incomplete: 2 of the 3 images that PACS holds were received."
            studies.complete(session, FIRST, evidence=lacking, now=NOW)
            studies.cancel(session, FIRST, now=NOW, why="a test")
            again = studies.open_again(session, StudyUid(UID), now=NOW)
        assert get(database).is_incomplete
        assert again.is_incomplete
        assert not get(database, StudyKey("1.2.3#1")).is_incomplete
        with database.read() as session:
            assert figures.incomplete(session) == 1  # the newest revision of one study

    def test_a_study_is_completed_once(self, database: Database) -> None:
        record(database, image())
        complete(database)
        with pytest.raises(Conflict, match="COMPLETE"):
            complete(database)

    def test_the_way_of_the_work_ends_with_a_time(self, database: Database) -> None:
        assert bring_to(database, StudyState.DELIVERING).finished_at is None
        with database.begin() as session:
            study = studies.advance(session, FIRST, StudyState.DELIVERED, now=LATER)
        assert (study.state, study.finished_at) == (StudyState.DELIVERED, LATER)

    @pytest.mark.parametrize("state", list(StudyState))
    def test_naming_the_present_state_changes_nothing(
        self, database: Database, state: StudyState
    ) -> None:
        before = bring_to(database, state)
        with database.begin() as session:
            assert studies.advance(session, FIRST, state, now=LATER, error="again") == before

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (StudyState.RECEIVING, StudyState.COMPLETE),
            (StudyState.RECEIVING, StudyState.ANALYSING),
            (StudyState.COMPLETE, StudyState.DELIVERED),
            (StudyState.COMPOSED, StudyState.ANALYSING),
            (StudyState.ANALYSING, StudyState.NOT_ANALYSED),
            *[(end, StudyState.ANALYSING) for end in sorted(TERMINAL_STATES)],
            *[(end, StudyState.COMPLETE) for end in sorted(TERMINAL_STATES)],
        ],
    )
    def test_other_ways_are_refused(
        self, database: Database, before: StudyState, after: StudyState
    ) -> None:
        study = bring_to(database, before)
        with pytest.raises(Conflict, match="cannot become"), database.begin() as session:
            studies.advance(session, FIRST, after, now=LATER)
        assert get(database) == study

    @pytest.mark.parametrize("before", [*WORK[:-1], StudyState.RECEIVING])
    def test_a_study_may_fail_or_be_cancelled_until_it_ended(
        self, database: Database, before: StudyState
    ) -> None:
        bring_to(database, before)
        with database.begin() as session:
            study = studies.cancel(session, FIRST, now=LATER, why="wrong patient")
        assert study.state is StudyState.CANCELLED
        assert (study.finished_at, study.error) == (LATER, "wrong patient")

    def test_a_study_that_ended_is_not_cancelled(self, database: Database) -> None:
        bring_to(database, StudyState.DELIVERED)
        with pytest.raises(Conflict), database.begin() as session:
            studies.cancel(session, FIRST, now=LATER, why="too late")

    @pytest.mark.parametrize("state", [s for s in StudyState if s is not StudyState.RECEIVING])
    def test_a_retry_starts_the_work_anew(self, database: Database, state: StudyState) -> None:
        before = bring_to(database, state)
        with database.begin() as session:
            again = studies.retry(session, FIRST, now=LATER)
        expected = replace(
            before, state=StudyState.COMPLETE, attempt=2, finished_at=None, error=None
        )
        assert again == expected

    def test_a_study_cancelled_while_receiving_is_completed_by_its_retry(
        self, database: Database
    ) -> None:
        record(database, image())
        with database.begin() as session:
            studies.cancel(session, FIRST, now=NOW, why="mistake")
            study = studies.retry(session, FIRST, now=LATER)
        assert study.completed_at == LATER
        assert study.completion_evidence == "completed by a retry"

    def test_a_receiving_study_has_no_work_to_retry(self, database: Database) -> None:
        record(database, image())
        with pytest.raises(Conflict, match="receiving"), database.begin() as session:
            studies.retry(session, FIRST, now=NOW)

    @pytest.mark.parametrize("key", ["1.2.3#1", "1.2.3", "#1", "1.2#x", "1.2#²", "1.2#99999999999"])
    def test_an_unknown_study_is_not_found(self, database: Database, key: str) -> None:
        unknown = StudyKey(key)
        for act in (
            lambda session: studies.get(session, unknown),
            lambda session: studies.complete(session, unknown, evidence="", now=NOW),
            lambda session: studies.advance(session, unknown, StudyState.FAILED, now=NOW),
            lambda session: studies.retry(session, unknown, now=NOW),
            lambda session: studies.instances_of(session, unknown),
            lambda session: studies.save_series_decisions(session, unknown, []),
        ):
            with pytest.raises(NotFound), database.begin() as session:
                act(session)


def from_the_newest(database: Database) -> list[Study]:
    """All studies, two at a time."""
    with database.read() as session:
        found = page = studies.list_studies(session, limit=2)
        while page:
            page = studies.list_studies(session, limit=2, older_than=found[-1])
            found = found + page
    return found


def from_the_oldest(database: Database) -> list[Study]:
    """All studies, two at a time, the newest first nevertheless."""
    with database.read() as session:
        found = page = studies.list_studies(session)[-1:]
        while page:
            page = studies.list_studies(session, limit=2, newer_than=found[0])
            found = page + found
    return found


class TestFinding:
    @pytest.fixture
    def known(self, database: Database) -> Database:
        record(database, image(study="1.2.30.7"), image(study="1.2.30.8"), image(study="1.2.30"))
        complete(database, StudyKey("1.2.30.8#1"))
        record(database, image(2, study="1.2.30.8"))
        return database

    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ("1.2.30.7", "1.2.30.7#1"),
            ("1.2.30", "1.2.30#1"),  # a whole UID, though others begin with it
            ("1.2.30.8", "1.2.30.8#2"),
            ("1.2.30.8#1", "1.2.30.8#1"),
            ("0.7", "1.2.30.7#1"),
            (" .8 ", "1.2.30.8#2"),
            (".8#1", "1.2.30.8#1"),
        ],
    )
    def test_a_study_is_found_by_what_names_one(self, known: Database, text: str, key: str) -> None:
        with known.read() as session:
            assert studies.find(session, text).key == key

    @pytest.mark.parametrize(
        "text", ["", "#1", "%", "_", "9.9", "1.2.30.8#3", "1.2.30.8#", "2.30."]
    )
    def test_what_names_none_is_not_found(self, known: Database, text: str) -> None:
        with pytest.raises(NotFound), known.read() as session:
            studies.find(session, text)

    def test_what_names_several_asks_for_more(self, known: Database) -> None:
        with pytest.raises(Conflict, match="More than one"), known.read() as session:
            studies.find(session, "1.2")

    def test_the_newest_come_first_a_page_at_a_time(self, database: Database) -> None:
        for number in range(5):
            record(database, image(number, study=f"1.2.{number}"))
        found = [study.study_uid for study in from_the_newest(database)]
        assert found == ["1.2.4", "1.2.3", "1.2.2", "1.2.1", "1.2.0"]

    def test_no_study_is_left_out_where_many_came_at_one_moment(self, database: Database) -> None:
        for number in range(5):
            record(database, image(1, study=f"1.2.{number}"))
        found = from_the_newest(database)
        assert sorted(study.study_uid for study in found) == [f"1.2.{n}" for n in range(5)]
        assert from_the_oldest(database) == found

    def test_a_page_holds_studies_of_the_wanted_state(self, database: Database) -> None:
        for number in range(4):
            record(database, image(number, study=f"1.2.{number}"))
        with database.begin() as session:
            for uid in ("1.2.1", "1.2.3"):
                studies.cancel(session, StudyKey(f"{uid}#1"), now=NOW, why="test")
        with database.read() as session:
            newest = studies.get(session, StudyKey("1.2.3#1"))
            found = studies.list_studies(session, states={StudyState.CANCELLED}, older_than=newest)
        assert [one.study_uid for one in found] == ["1.2.1"]

    def test_studies_are_listed_by_state(self, database: Database) -> None:
        by_state = {state: StudyKey(f"1.2.{n}#1") for n, state in enumerate(StudyState)}
        for state, key in by_state.items():
            bring_to(database, state, key)
        with database.read() as session:
            failed = studies.list_studies(session, states={StudyState.FAILED})
            receiving = studies.receiving(session)
            unfinished = studies.unfinished(session)
            assert studies.list_studies(session, states=[]) == []
        assert [study.key for study in failed] == [by_state[StudyState.FAILED]]
        assert [study.key for study in receiving] == [by_state[StudyState.RECEIVING]]
        assert {study.key for study in unfinished} == {by_state[state] for state in WORK[:-1]}

    def test_urgent_work_is_named_first(self, database: Database) -> None:
        record(database, image(study="1.2.1"), image(study="1.2.2", priority=Priority.STAT))
        for uid in ("1.2.1", "1.2.2"):
            complete(database, StudyKey(f"{uid}#1"))
        with database.read() as session:
            assert [study.study_uid for study in studies.unfinished(session)] == ["1.2.2", "1.2.1"]


def decision(number: int, *, chosen: bool = False) -> SeriesDecision:
    return SeriesDecision(
        series_uid=SeriesUid(f"{UID}.{number}"),
        number=number,
        modality="MR\0",
        instance_count=24,
        chosen=chosen,
        reason="inversion time 2500 ms" if chosen else "a localizer",
    )


def test_series_decisions_come_back_in_their_order_and_replace_older_ones(
    database: Database,
) -> None:
    record(database, image())
    with database.begin() as session:
        assert studies.series_decisions(session, FIRST) == ()
        studies.save_series_decisions(session, FIRST, [decision(1), decision(2), decision(3)])
        studies.save_series_decisions(session, FIRST, [decision(9, chosen=True), decision(1)])
    with database.read() as session:
        kept = studies.series_decisions(session, FIRST)
    assert [(one.series_uid, one.chosen) for one in kept] == [
        (f"{UID}.9", True),
        (f"{UID}.1", False),
    ]
    assert kept[0] == replace(decision(9, chosen=True), modality="MR")
